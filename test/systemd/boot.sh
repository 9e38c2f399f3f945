#!/usr/bin/env bash
# Boots a real systemd over a copy-on-write view of this machine, with the clone at /opt/tallystick, in namespaces of its own: no
# network, nothing of it is seen outside, and all of it is gone when it ends. For root.
#
#   boot.sh FOLDER   an empty folder to mount on; stays in the foreground, and takes systemd with it when it is killed
#   boot.sh --check  whether this machine can: exit 0, or one line on why not
#
# Talk to it: nsenter -t <pid of systemd> -a -r systemctl status
set -euo pipefail
clone=$(cd "$(dirname "$0")/../.." && pwd)
self=$clone/test/systemd/boot.sh

cannot() {
  echo "$1"
  exit 1
}

inside() { # how folder
  exec unshare -m -p -f -C -u -i -n --kill-child "$self" "$@"
}

# What may be missing is tried, not guessed.
check() {
  local tool folder said code=0
  [ "$(id -u)" -eq 0 ] || cannot 'only root can make namespaces with mounts'
  for tool in unshare nsenter systemctl systemd-analyze systemd-notify systemd-sysusers; do
    command -v "$tool" >/dev/null || cannot "$tool is not installed"
  done
  [ -x /lib/systemd/systemd ] || cannot '/lib/systemd/systemd is not installed'
  env PATH=/usr/local/bin:/usr/bin node --version >/dev/null 2>&1 || cannot 'node is neither in /usr/local/bin nor in /usr/bin'
  folder=$(mktemp -d)
  said=$(inside --try "$folder" 2>&1) || code=$?
  rmdir "$folder"
  [ "$code" -eq 0 ] || cannot "no namespaces with mounts: ${said##*$'\n'}"
}

overlay() { # name lower where
  mkdir "$folder/$1.upper" "$folder/$1.work"
  mount -t overlay -o "lowerdir=$2,upperdir=$folder/$1.upper,workdir=$folder/$1.work" overlay "$3"
}

mount_all() {
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs "$folder"
  mkdir "$root"
  overlay machine / "$root"
  mkdir -p "$root/opt/tallystick"
  overlay clone "$clone" "$root/opt/tallystick"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount --rbind /dev "$root/dev"
}

# What this machine starts by itself is none of our business, and what it has of us already must not help.
clean() {
  local user
  rm -rf "$root"/etc/systemd/system/* "$root"/etc/tallystick "$root"/etc/credstore "$root"/var/lib/tallystick*
  rm -f "$root"/etc/sysusers.d/tallystick* "$root"/usr/local/bin/tallystick*
  # Whoever builds anew meanwhile does not change what runs here.
  rm -rf "$root/opt/tallystick/dist"
  cp -a "$clone/dist" "$root/opt/tallystick/dist"
  for user in tallystick tallystick-collector; do
    sed -i "/^$user:/d" "$root"/etc/{passwd,group,shadow,gshadow}
  done
}

# These would set what namespaces do not divide: parameters of the kernel, devices, the clock.
mask() {
  local unit
  for unit in systemd-{sysctl,binfmt,modules-load,udevd,udev-trigger,udev-settle,tmpfiles-setup-dev,random-seed,timesyncd}.service \
    systemd-udevd-{control,kernel}.socket proc-sys-fs-binfmt_misc.{auto,}mount sys-kernel-{config,debug,tracing}.mount; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
  done
}

if [ "${1:?expected a folder or --check}" = --check ]; then
  check
  exit
fi
folder=$(realpath "${2:-$1}")
root=$folder/root
case $1 in
  --try) mount_all ;;
  --boot)
    mount_all
    clean
    mask
    # Not chroot: who is in one may not make user namespaces, and PrivateUsers= does.
    cd "$root"
    mkdir old
    pivot_root . old
    umount -l /old
    # Else credentials are mounted where no service sees them. systemd does this itself only where it finds no container.
    mount --make-rshared /
    exec /usr/bin/env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=0
    ;;
  *) inside --boot "$folder" ;;
esac

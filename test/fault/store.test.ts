import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../agent/schema.ts';
import { messages, newDevice, temporaryFolder, text } from '../agent/device.ts';
import { checkLog } from '../agent/reference.ts';
import { newCollector } from '../support/collector-process.ts';
import {
  AGENT,
  COLLECTOR,
  contentOf,
  execute,
  missing,
  newMachine,
  OWN_MOUNTS,
  works,
  type Ended,
  type Machine,
} from './program.ts';

// A store that can't be worked with, through the real program: one clear line, the right exit code, never a stack, nothing lost.

let made: ((folder: string) => void) | undefined;

/** A machine whose log has 300 entries under 3 seals. */
function machine(settings = ''): Machine {
  made ??= contentOf(
    (() => {
      const device = newDevice();
      device.with((writer) => writer.append(messages(300)), { entries: 100, bytes: 65_536 });
      return device.folder;
    })(),
  );
  return newMachine(settings, made);
}

const READERS = [['status'], ['tail'], ['proof', '0'], ['export'], ['verify']];
const WRITERS = [['append', '--topic', 't'], ['run']];

function expectLine({ code, signal, err }: Ended, exit: number, line: RegExp): void {
  expect(err).toMatch(line);
  expect(err.trimEnd().split('\n')).toHaveLength(1);
  expect(err).not.toContain('internal error');
  expect({ code, signal }).toEqual({ code: exit, signal: null });
}

describe('a store', () => {
  const rows: [name: string, spoil: (machine: Machine) => void, exit: number, line: RegExp][] = [
    [
      'whose folder is missing',
      ({ data }) => rmSync(data, { recursive: true }),
      1,
      /: expected a (store to work with|folder to keep the store in), got (none|no such file or folder).*tallystick-agent init/,
    ],
    [
      'that is missing',
      ({ device }) => rmSync(device.paths.store),
      1,
      /log\.db: expected a store to work with, got no file there that can be opened .*tallystick-agent init/,
    ],
    [
      'that is no database',
      ({ device }) => writeFileSync(device.paths.store, 'text\n'.repeat(5000)),
      1,
      /log\.db: expected a store to work with, got a file that is no SQLite database .*; tallystick-agent repair says/,
    ],
    [
      'that is empty',
      ({ device }) => writeFileSync(device.paths.store, ''),
      1,
      /log\.db: expected a store of tallystick-agent, got an empty file; tallystick-agent repair says/,
    ],
    [
      'of a newer format',
      ({ device }) => device.sql(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`),
      1,
      new RegExp(
        `log\\.db: expected a store of format ${SCHEMA_VERSION}, got format ${SCHEMA_VERSION + 1}; it was written by a newer version of tallystick-agent; use that one$`,
        'm',
      ),
    ],
    [
      'of an older format',
      ({ device }) => device.sql(`PRAGMA user_version = ${SCHEMA_VERSION - 1}`),
      1,
      new RegExp(
        `log\\.db: expected a store of format ${SCHEMA_VERSION}, got format ${SCHEMA_VERSION - 1}; it was written by an older version of tallystick-agent, .*; to begin anew with this one, move all of .* aside, keep it, and run tallystick-agent init$`,
        'm',
      ),
    ],
    [
      'of another program',
      ({ device }) => device.sql('PRAGMA application_id = 5'),
      1,
      /log\.db: expected a store of tallystick-agent, got another SQLite file/,
    ],
  ];
  test.each(rows)('%s', async (_, spoil, exit, line) => {
    const found = machine();
    spoil(found);
    for (const args of [['status'], ['verify']]) expectLine(await found.agent(args), exit, line);
    // Who writes takes one that is no store any more for what is left of one, and goes on: database.test.ts.
    if (/no SQLite database|another SQLite file|an empty file/.test(line.source)) return;
    for (const args of WRITERS) expectLine(await found.agent(args, { input: 'x\n' }), exit, line);
  });

  test('of no database is left as it is by init too', async () => {
    const found = newMachine('', (data) => {
      mkdirSync(data);
      writeFileSync(join(data, 'log.db'), 'text\n'.repeat(5000));
    });
    const ended = await found.agent(['init', '--fleet', 'acme.example', '--device', 'pump-7']);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/log\.db: expected a store to work with, got a file that is no SQLite database/);
    expect(ended.err).not.toContain('internal error');
    expect(readFileSync(found.device.paths.store, 'utf8')).toBe('text\n'.repeat(5000));
  });

  test('whose pages are damaged, one after another: told by those who read, never a stack', async () => {
    const found = newMachine('', contentOf(newDevice().folder));
    found.device.with((writer) => writer.append(messages(3)), { entries: 1, bytes: 65_536 });
    const whole = readFileSync(found.device.paths.store);
    for (let page = 0; page < whole.length / 4096; page += 2) {
      const damaged = Buffer.from(whole);
      damaged.fill(0xa5, page * 4096, (page + 1) * 4096);
      writeFileSync(found.device.paths.store, damaged);
      const ended = await found.agent(['verify']);
      expect(ended.err, `page ${page}`).not.toContain('internal error');
      expect([1, 3], `page ${page}: ${ended.out}`).toContain(ended.code);
      expect(`${ended.err}${ended.out}`).toMatch(
        /damaged SQLite database|no SQLite database|expected log 0 as it was written|expected a sound|another SQLite file|SQLite says|malformed/,
      );
    }
  }, 120_000);

  test('whose tables somebody dropped', async () => {
    const found = machine();
    found.device.sql('DROP TABLE seal');
    expect(await found.agent(['verify'])).toMatchObject({
      code: 3,
      out: expect.stringContaining('FAIL  tables: expected those it was made with, got changes of: seal') as string,
    });
    expectLine(
      await found.agent(['status']),
      1,
      /log\.db: expected a store to work with, got other tables than it was made with \(no such table: seal\); tallystick-agent repair says/,
    );
    expect(await found.agent(['append', '--topic', 't'], { input: 'x\n' })).toMatchObject({ code: 0 });
    expect(found.device.faults()).toEqual([]);
  });

  test('that somebody changed is told by verify, which exits 3', async () => {
    const found = machine();
    found.device.sql("DROP TRIGGER entry_update; UPDATE entry SET payload = x'00' WHERE id = 7");
    const ended = await found.agent(['verify']);
    expect(ended.code).toBe(3);
    expect(ended.out).toContain('FAIL  triggers: expected those it was made with, got changes of: entry_update');
    expect(ended.out).toMatch(
      /FAIL {2}acme\.example\/pump-7\/[0-9a-f]{16}: entry 7: expected entry and payload that hash to its leaf hash/,
    );
    expect(ended.out).toMatch(/\n2 of 7 checks failed; tallystick-agent repair says [^\n]*\n$/);
    expect(JSON.parse((await found.agent(['verify', '--json'])).out)).toMatchObject({ ok: false });
  });

  test('without a log, because its making was cut off', async () => {
    const found = machine();
    found.device.sql('DROP TRIGGER log_delete; DELETE FROM log');
    for (const args of [...READERS, ...WRITERS])
      expectLine(await found.agent(args), 1, /log\.db: expected a log, got none; run tallystick-agent init$/m);
  });
});

describe('keys', () => {
  const lost: [name: string, lose: (machine: Machine) => void, why: string][] = [
    [
      'an epoch file that is damaged',
      ({ device }) => writeFileSync(device.epochFile(), new Uint8Array(8192).fill(7)),
      'the epoch key is lost',
    ],
    ['an epoch file that is gone', ({ device }) => rmSync(device.epochFile()), 'the epoch key is lost'],
    ['an identity file that is gone', ({ device }) => rmSync(device.identityFile()), 'the identity key is lost'],
  ];
  test.each(lost)('%s: one line says that the log is closed, and what is given is recorded in the next', async (_, lose, why) => {
    const found = machine();
    const [old] = found.device.logs();
    lose(found);
    const ended = await found.agent(['append', '--topic', 't', '--json'], { input: 'x\n' });
    const next = found.device.logs()[1];
    expectLine(
      ended,
      0,
      new RegExp(
        `^tallystick-agent: the log ${old?.origin ?? ''} is closed, because ${why}; ${next?.origin ?? ''} continues it$`,
        'm',
      ),
    );
    expect(text(found.device.entries(1).at(-1)?.payload ?? null)).toBe('x');
    expect(found.device.faults()).toEqual([]);
    // The old log stays provable: by its own key, or where that is lost by what its export has.
    const out = join(found.folder, 'all');
    expect(await found.agent(['export', out])).toMatchObject({ code: 0, err: '' });
    const proof = await found.agent(['proof', '0', '--log', old?.origin ?? '']);
    if (why === 'the epoch key is lost') expect(proof).toMatchObject({ code: 0, err: '' });
    else
      expectLine(
        proof,
        1,
        /expected its identity key in .*keys, got none or a damaged one; without it no checkpoint can be signed/,
      );
  });

  test('that can be read by nobody are no lost keys', async () => {
    const found = machine();
    const folder = found.device.epochFile();
    rmSync(folder);
    mkdirSync(folder);
    for (const args of WRITERS) expectLine(await found.agent(args, { input: 'x\n' }), 1, /EISDIR/);
    expect(found.device.logs()).toHaveLength(1);
  });
});

describe('another user', () => {
  const isRoot = process.getuid?.() === 0;
  const asNobody = works('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'true')
    ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
    : [];

  /** Where the test is not run by root, its own user is kept out. */
  function closed(mode: { readonly folder: number; readonly keys: number; readonly store: number }): Machine {
    const found = machine();
    chmodSync(found.folder, 0o755);
    chmodSync(found.config, 0o644);
    if (existsSync(found.device.paths.lock)) chmodSync(found.device.paths.lock, mode.store);
    chmodSync(found.device.paths.store, mode.store);
    chmodSync(found.device.paths.keys, mode.keys);
    chmodSync(found.data, mode.folder);
    return found;
  }

  test.runIf(!isRoot || asNobody.length > 0)('is told that it may not, by whatever it tries', async () => {
    const found = closed({ folder: 0o700, keys: 0o700, store: 0o600 });
    if (!isRoot) chmodSync(found.data, 0o000);
    const line = (user: string): RegExp =>
      new RegExp(
        `: expected a store to work with, got no permission( \\(.*\\))?; run this as the user of the service \\(${user}\\), or to read as root$`,
        'm',
      );
    for (const args of [...READERS, ...WRITERS])
      expectLine(await found.agent(args, { under: asNobody, input: 'x\n' }), 1, line('tallystick'));
    const doctor = await found.agent(['doctor'], { under: asNobody });
    expect(doctor.out).toMatch(new RegExp(`^FAIL  store: .*${line('tallystick').source}`, 'm'));
    const repair = await found.agent(['repair'], { under: asNobody });
    expect(repair).toMatchObject({ code: 6, err: '' });
    expect(repair.out).toMatch(/^FAIL {2}store: EACCES: .*; run this as the user of the service \(tallystick\)/m);
    const bundle = await found.agent(['support-bundle'], { under: asNobody });
    expect(bundle).toMatchObject({ code: 0, err: '' });
    const hinted = expect.stringMatching(/run this as the user of the service \(tallystick\)/) as string;
    expect(JSON.parse(bundle.out)).toMatchObject({
      findings: expect.arrayContaining([
        { what: 'store', status: 'FAIL', detail: hinted },
        { what: 'files', status: 'FAIL', detail: hinted },
      ]) as unknown,
      files: [],
    });
    chmodSync(found.data, 0o700);
    expect(found.device.faults()).toEqual([]);
  });

  test.runIf(!isRoot || asNobody.length > 0)('is told that it may not read the configuration', async () => {
    const found = machine();
    chmodSync(found.folder, 0o755);
    mkdirSync(join(found.folder, 'agent.conf.d'));
    const hint = 'run this as root or as the user of the service, or change its rights$';
    const rows = [
      ['agent.conf.d', 'agent\\.conf\\.d: expected a readable folder'],
      ['agent.toml', 'agent\\.toml: expected a readable configuration file'],
    ] as const;
    for (const [name, what] of rows) {
      chmodSync(join(found.folder, name), 0o000);
      expectLine(
        await found.agent(['config', 'check'], { under: asNobody }),
        78,
        new RegExp(`${what}, got EACCES; ${hint}`, 'm'),
      );
    }
  });

  test.runIf(isRoot && asNobody.length > 0)('of a folder in one that is closed is told so too', async () => {
    const found = closed({ folder: 0o700, keys: 0o700, store: 0o600 });
    const inner = join(found.data, 'inner');
    cpSync(found.device.paths.store, join(inner, 'log.db'));
    for (const args of READERS)
      expectLine(
        await found.agent(['--set', `store.directory=${inner}`, ...args], { under: asNobody }),
        1,
        /inner\/log\.db: expected a store to work with, got no permission; run this as the user of the service/,
      );
  });

  test.runIf(isRoot && asNobody.length > 0)('is told by the collector too, whose user is another', async () => {
    const { folder, data, options } = newCollector();
    chmodSync(folder, 0o755);
    chmodSync(data, 0o700);
    const collector = (...args: string[]): Promise<Ended> =>
      execute([process.execPath, COLLECTOR, ...options, ...args], { under: asNobody });
    const hint = 'run this as the user of the service \\(tallystick-collector\\), or to read as root$';
    for (const args of [['devices'], ['entries'], ['verify'], ['export'], ['evidence']])
      expectLine(
        await collector(...args),
        1,
        new RegExp(`collector\\.db: expected a store to work with, got no permission \\(.*\\); ${hint}`, 'm'),
      );
    for (const args of [
      ['token', 'create'],
      ['--set', 'broker.enabled=true', 'run'],
    ])
      expectLine(
        await collector(...args),
        78,
        new RegExp(`fleet\\.key: expected a key file that can be read, got EACCES; ${hint}`, 'm'),
      );
    rmSync(join(data, 'keys', 'fleet.key'));
    const ended = await execute([process.execPath, COLLECTOR, ...options, 'token', 'create']);
    expectLine(ended, 78, /got ENOENT; run tallystick-collector init, or restore the file from a backup$/m);
  });

  test.runIf(isRoot && asNobody.length > 0)('who may not make what init makes is told how to make it elsewhere', async () => {
    const open = temporaryFolder();
    const closed = temporaryFolder();
    chmodSync(open, 0o777);
    const rows = [
      [
        AGENT,
        ['init', '--fleet', 'acme.example', '--device', 'pump-7'],
        ', --set store\\.directory=… and --set runtime\\.socket=…',
      ],
      [COLLECTOR, ['init', '--fleet', 'acme.example'], ' and --set store\\.directory=…'],
    ] as const;
    for (const [program, args, more] of rows) {
      const init = (...given: string[]): Promise<Ended> =>
        execute([process.execPath, program, ...given, ...args], { under: asNobody });
      const line = (path: string): RegExp =>
        new RegExp(
          `: ${path}: expected to make it, got no permission \\(.*\\); run this as root, or with --config FILE${more}$`,
          'm',
        );
      const config = join(closed, 'etc', 'tallystick.toml');
      expectLine(await init('--config', config), 1, line(config));
      const data = join(closed, 'data');
      const own = join(open, `${program === AGENT ? 'agent' : 'collector'}.toml`);
      expectLine(await init('--config', own, '--set', `store.directory=${data}`), 1, line(data));
    }
  });

  test.runIf(isRoot && asNobody.length > 0)(
    'who may read the store but not the keys: verify could not check, which is no verdict',
    async () => {
      const found = closed({ folder: 0o777, keys: 0o700, store: 0o666 });
      expectLine(await found.agent(['verify'], { under: asNobody }), 1, /EACCES: permission denied, open '.*identity'/);
      // And nobody takes the keys for lost.
      expectLine(
        await found.agent(['append', '--topic', 't'], { under: asNobody, input: 'x\n' }),
        1,
        /EACCES: permission denied, open '.*identity'/,
      );
      expect(found.device.logs()).toHaveLength(1);
      expect(await found.agent(['status'], { under: asNobody })).toMatchObject({ code: 0 });
    },
  );
});

describe('init', () => {
  const args = ['init', '--fleet', 'acme.example', '--device', 'pump-7'];

  test('twice changes nothing, and says so', async () => {
    const found = newMachine();
    rmSync(found.config);
    const first = await found.agent([...args, '--set', `store.directory=${found.data}`, '--set', 'log.level=debug', '--json']);
    expect(first.code).toBe(0);
    expect(JSON.parse(first.out)).toMatchObject({
      origin: found.device.logs()[0]?.origin,
      config: found.config,
      store: found.device.paths.store,
    });
    expect(readFileSync(found.config, 'utf8')).toContain('\nlevel = "debug"\n');
    const files = (): unknown[] =>
      [found.config, found.device.paths.store, found.device.identityFile(), found.device.epochFile()].map((path) => [
        readFileSync(path),
        statSync(path).mode,
      ]);
    const before = files();
    const again = await found.agent([...args, '--set', 'log.level=error']);
    expect(again).toMatchObject({ code: 1, out: '' });
    expect(again.err).toMatch(/log\.db: expected no store yet, got one; it was left as it is\n$/);
    expect(files()).toEqual(before);
    expect(found.device.faults()).toEqual([]);
  });

  test('makes no store of another device than the configuration that is there', async () => {
    const found = newMachine();
    const ended = await found.agent(['init', '--fleet', 'acme.example', '--device', 'pump-8']);
    expect(ended.code).toBe(78);
    expect(ended.err).toMatch(
      /agent\.toml: expected it to be of acme\.example\/pump-8, got acme\.example\/pump-7; it was there already/,
    );
    expect(existsSync(found.device.paths.store)).toBe(false);
  });

  test('makes keys and store for their owner only, and nothing that others may write', async () => {
    const found = newMachine();
    expect(await found.agent(args, { under: ['sh', '-c', 'umask 0; exec "$@"', 'sh'] })).toMatchObject({ code: 0 });
    const modes = ['', 'log.db', 'lock.db', 'keys'].map((name) => statSync(join(found.data, name)).mode & 0o777);
    expect(modes).toEqual([0o750, 0o600, 0o600, 0o700]);
    for (const path of [found.device.identityFile(), found.device.epochFile()]) expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('in a folder that is open to others says so, in the words of doctor', async () => {
    const found = newMachine('', (folder) => {
      mkdirSync(folder);
      chmodSync(folder, 0o755);
    });
    expect(await found.agent(args)).toMatchObject({
      code: 0,
      err: expect.stringContaining(
        `tallystick-agent: ${found.data}: expected no rights for others, got mode 0755; chmod 0750 it\n`,
      ) as string,
    });
  });

  test.runIf(process.getuid?.() === 0)('by root with --user gives the files to that user, who can work with them', async () => {
    const found = newMachine();
    expect(await found.agent([...args, '--user', 'nobody'])).toMatchObject({ code: 0, err: '' });
    const uid = Number(spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout);
    for (const path of [
      found.data,
      found.device.paths.store,
      found.device.paths.lock,
      found.device.paths.keys,
      found.device.identityFile(),
      found.device.epochFile(),
    ]) {
      expect(statSync(path).uid).toBe(uid);
    }
    chmodSync(found.folder, 0o755);
    const ended = await found.agent(['append', '--topic', 't'], {
      input: 'x\n',
      under: ['setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups'],
    });
    expect(ended).toMatchObject({ code: 0, err: '' });
    expect(found.device.faults()).toEqual([]);
  });

  test('for a user that is not there makes nothing', async () => {
    const found = newMachine();
    expectLine(
      await found.agent([...args, '--user', 'nobody-has-this-name']),
      1,
      /user nobody-has-this-name: expected one of this system, got none/,
    );
    expect(existsSync(found.data)).toBe(false);
  });
});

describe('a second agent on the same store', () => {
  test('is told to try later, whatever it wants to write, and the first loses nothing', async () => {
    const found = machine();
    const writer = found.device.open();
    for (const args of WRITERS)
      expectLine(
        await found.agent(args, { input: 'x\n' }),
        75,
        /lock\.db: expected to be the only writer of this store, got another agent that has it open; stop the other one first/,
      );
    for (const args of READERS) expect(await found.agent(args)).toMatchObject({ code: 0, err: '' });
    writer.append(messages(1));
    writer.close();
    expect(found.device.faults()).toEqual([]);
  });
});

describe('a file system', () => {
  test('that fills up and is read-only is tried where mounts of one own can be had, and always in CI', () => {
    if (OWN_MOUNTS === undefined)
      missing('mounts of its own (unshare)', 'a full disk is tried by a limit of file sizes, a read-only one is not');
  });

  const bash = (script: string, found: Machine, ...more: string[]): Promise<Ended> => {
    return execute([
      ...(OWN_MOUNTS ?? []),
      'bash',
      '--norc',
      '-euc',
      script,
      'bash',
      process.execPath,
      AGENT,
      found.config,
      found.data,
      found.folder,
      ...more,
    ]);
  };

  // SQLite itself reads no database with a WAL there, unless somebody left the WAL's files behind.
  test.runIf(OWN_MOUNTS !== undefined)('that is read-only is told of, and nothing is taken for lost', async () => {
    const found = machine();
    const script = 'mount --bind "$4" "$4"; mount -o remount,ro,bind "$4"; ';
    for (const args of [['status'], ['verify']]) {
      const ended = await bash(`${script} "$1" "$2" --config "$3" "\${@:6}"`, found, ...args);
      if (ended.code !== 0) expectLine(ended, 1, /log\.db: expected a store to work with, got /);
    }
    for (const args of WRITERS)
      expectLine(
        await bash(`${script} echo x | "$1" "$2" --config "$3" "\${@:6}"`, found, ...args),
        1,
        /: expected a store to work with, got (a file( or folder| system)? that is read-only|no file there that can be opened)/,
      );
    expect(found.device.faults()).toEqual([]);
  });

  /** Fills a file system of 700 KB with lines, twice; then makes room and goes on. */
  const FILL = `
    node=$1 agent=$2 config=$3 data=$4 folder=$5
    cp -a "$data" "$folder/copy"
    mount -t tmpfs -o size=700k tmpfs "$data"
    cp -a "$folder/copy/." "$data/"
    for round in 1 2; do
      code=0
      seq 1 20000 | "$node" "$agent" --config "$config" append --topic t --batch 50 2>"$folder/err.$round" || code=$?
      echo "$code"
      "$node" "$agent" --config "$config" verify >"$folder/verify.$round" || echo "verify $?"
    done
    mount -o remount,size=8m "$data"
    seq 1 10 | "$node" "$agent" --config "$config" append --topic t
    rm -r "$folder/copy"
    cp -a "$data" "$folder/copy"
  `;

  test.runIf(OWN_MOUNTS !== undefined)(
    'that is full: one clear line, exit 75, all that was recorded is there, and with room it goes on',
    async () => {
      const found = machine('free_floor_bytes = 0\n');
      const ended = await bash(FILL, found);
      expect(ended).toMatchObject({ code: 0, err: '' });
      expect(ended.out.split('\n').slice(0, 2)).toEqual(['75', '75']);
      expect(ended.out).toMatch(/\n10 messages recorded and sealed in /);
      const errors = [1, 2].map((round) => readFileSync(join(found.folder, `err.${round}`), 'utf8'));
      for (const error of errors) {
        expect(error).toMatch(
          /^tallystick-agent: [^\n]*expected (a store to work with, got a full disk|room for messages, got a store that is full)[^\n]*; nothing that was acknowledged is lost; [^\n]*\n$/,
        );
      }
      const said = errors.map((error) => Number(/the (\d+) messages? before (?:is|are)/.exec(error)?.[1] ?? 0));
      expect(said[0]).toBeGreaterThan(500);
      cpSync(join(found.folder, 'copy'), found.data, { recursive: true, force: true });
      expect(found.device.logs()).toHaveLength(1);
      expect(found.device.faults()).toEqual([]);
      const payloads = checkLog(found.device.paths.store, 0).payloads.slice(300).map(text);
      const lines = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i + 1));
      expect(payloads).toEqual([...lines(said[0] ?? 0), ...lines(said[1] ?? 0), ...lines(10)]);
    },
    60_000,
  );

  test('that does not let files grow is told of as an error of the disk, and nothing that was recorded is lost', async () => {
    const found = machine();
    const ended = await execute(
      [
        'bash',
        '-c',
        'ulimit -f 300; exec "$@"',
        'bash',
        process.execPath,
        AGENT,
        '--config',
        found.config,
        'append',
        '--topic',
        't',
        '--batch',
        '50',
      ],
      {
        input: Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join(''),
      },
    );
    expectLine(ended, 1, /log\.db: expected a store to work with, got an error of the disk/);
    const said = Number(/the (\d+) messages? before (?:is|are)/.exec(ended.err)?.[1] ?? 0);
    expect(said).toBeGreaterThan(100);
    expect(checkLog(found.device.paths.store, 0).size).toBe(300 + said);
    expect(found.device.faults()).toEqual([]);
    found.device.with((writer) => writer.append(messages(1)));
    expect(found.device.faults()).toEqual([]);
  });
});

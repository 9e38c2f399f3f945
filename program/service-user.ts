/** The user that the unit of a service (systemd/<program>.service) runs it as. */
export function serviceUser(program: string): string {
  return program === 'tallystick-agent' ? 'tallystick' : program;
}

/** What to do where a file of the service is closed to who runs a command. What root writes there would be root's. */
export function runAsService(program: string): string {
  return `run this as the user of the service (${serviceUser(program)}), or to read as root`;
}

import manifest from '../package.json' with { type: 'json' };

/** The version in package.json; the build writes it into the bundle. */
export const version: string = manifest.version;

import type { StoreKind } from '../program/sqlite.ts';
import { TRIGGERS } from './triggers.ts';

/** Entries, payloads and seals of all logs share a table each: a row's id is `log number * 2^40 + index`. */
export const LOG_STRIDE = 2 ** 40;
/** Logs that one store can hold, so that ids stay below 2^53. Only admitted ones count. */
export const MAX_LOGS = 2 ** 13;

/**
 * The collector's tables. What was received and signed is written once: the triggers hold in SQL what the code promises, so that not
 * even a bug of ours loses or changes any of it. What may change: a log advances (its size rises, its times never fall), its standing,
 * and what waits or is counted (enrolments, tokens, passwords, claims, refusals).
 *
 * - `log`: an admitted log and where it stands: the tree's peaks, the head, number and key of the next seal, the merged time of its
 *   last entry; `time` of the newest cosignature or state note, and the newest `receipt`
 * - `leaf`: the fleet log's leaves, in its order: the admission (`size` 0) and each receipt that covered new entries
 * - `fleet`: one row, how far the leaves are in the fleet log's tree, and the newest checkpoint of its key; `published` and `lost`: what
 *   shows that this key signed what this store lacks (fleet-standing.ts); `since`: when it took over
 * - `former_log`: the keys of the fleet log before, each with its newest checkpoint
 * - `claim`: checkpoints that are validly signed and not yet covered; `cosigned`: as a receipt of ours, so we once held it
 */
export const SCHEMA = `
CREATE TABLE log (
  number INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND ${MAX_LOGS - 1}),
  origin TEXT NOT NULL UNIQUE,
  device TEXT NOT NULL,
  vkey TEXT NOT NULL UNIQUE,
  admission BLOB NOT NULL,
  standing TEXT NOT NULL CHECK (standing IN ('admitted', 'retired')),
  reason TEXT,
  size INTEGER NOT NULL CHECK (size BETWEEN 0 AND ${LOG_STRIDE - 1}),
  peaks BLOB NOT NULL CHECK (length(peaks) % 32 = 0),
  head BLOB NOT NULL CHECK (length(head) = 32),
  k INTEGER NOT NULL CHECK (k BETWEEN 0 AND size),
  seal_key BLOB NOT NULL CHECK (length(seal_key) = 32),
  merged_time INTEGER NOT NULL,
  time INTEGER NOT NULL,
  receipt BLOB,
  CHECK ((receipt IS NULL) = (size = 0))
) STRICT;
CREATE INDEX log_device ON log (device);

CREATE TABLE entry (
  id INTEGER PRIMARY KEY,
  merged_time INTEGER NOT NULL,
  stem BLOB NOT NULL,
  payload_hash BLOB NOT NULL,
  leaf BLOB NOT NULL,
  CHECK (length(payload_hash) = 32 AND length(leaf) = 32)
) STRICT;

CREATE TABLE payload (
  id INTEGER PRIMARY KEY REFERENCES entry,
  payload BLOB NOT NULL
) STRICT;

CREATE TABLE seal (
  id INTEGER PRIMARY KEY,
  size INTEGER NOT NULL CHECK (size > 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  public_key BLOB NOT NULL CHECK (length(public_key) = 32),
  next_public_key BLOB NOT NULL CHECK (length(next_public_key) = 32),
  signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;

CREATE TABLE salt (
  id INTEGER PRIMARY KEY REFERENCES seal,
  salt_key BLOB CHECK (length(salt_key) = 32),
  salts BLOB CHECK (length(salts) % 16 = 0),
  CHECK ((salt_key IS NULL) = (salts IS NOT NULL))
) STRICT;

CREATE TABLE subtree (
  log INTEGER NOT NULL REFERENCES log,
  level INTEGER NOT NULL,
  position INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (log, level, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE leaf (
  position INTEGER PRIMARY KEY,
  log INTEGER NOT NULL REFERENCES log,
  size INTEGER NOT NULL,
  time INTEGER NOT NULL,
  note BLOB NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE UNIQUE INDEX leaf_size ON leaf (log, size);

CREATE TABLE fleet (
  number INTEGER PRIMARY KEY CHECK (number = 0),
  fleet_vkey TEXT NOT NULL,
  collector_vkey TEXT NOT NULL,
  log_vkey TEXT NOT NULL,
  size INTEGER NOT NULL,
  peaks BLOB NOT NULL CHECK (length(peaks) % 32 = 0),
  signed INTEGER NOT NULL CHECK (signed BETWEEN 0 AND size),
  checkpoint BLOB,
  published BLOB,
  since INTEGER NOT NULL,
  lost INTEGER,
  CHECK ((checkpoint IS NULL) = (signed = 0))
) STRICT;

CREATE TABLE former_log (
  number INTEGER PRIMARY KEY,
  vkey TEXT NOT NULL UNIQUE,
  signed INTEGER NOT NULL,
  checkpoint BLOB,
  published BLOB,
  until INTEGER NOT NULL,
  CHECK ((checkpoint IS NULL) = (signed = 0))
) STRICT;

CREATE TABLE fleet_subtree (
  level INTEGER NOT NULL,
  position INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiting (
  origin TEXT PRIMARY KEY,
  device TEXT NOT NULL,
  note BLOB NOT NULL,
  since INTEGER NOT NULL,
  time INTEGER NOT NULL,
  refused TEXT
) STRICT;

CREATE TABLE token (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
  device TEXT,
  count INTEGER NOT NULL CHECK (count > 0),
  used INTEGER NOT NULL CHECK (used BETWEEN 0 AND count),
  created INTEGER NOT NULL,
  revoked INTEGER
) STRICT;

CREATE TABLE password (
  device TEXT PRIMARY KEY,
  salt BLOB NOT NULL CHECK (length(salt) = 16),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE claim (
  log INTEGER NOT NULL REFERENCES log,
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  note BLOB NOT NULL,
  cosigned INTEGER NOT NULL CHECK (cosigned IN (0, 1)),
  PRIMARY KEY (log, size, root)
) STRICT, WITHOUT ROWID;

CREATE TABLE fork (
  log INTEGER NOT NULL REFERENCES log,
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  note BLOB NOT NULL,
  held_note BLOB NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (log, size, root)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusal (
  device TEXT NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_time INTEGER NOT NULL,
  last_time INTEGER NOT NULL,
  PRIMARY KEY (device, kind, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  device TEXT NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  time INTEGER NOT NULL,
  reason TEXT NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX sample_of ON sample (device, kind, code);
${TRIGGERS}`;

export const STORE: StoreKind = {
  program: 'tallystick-collector',
  /** "talc" */
  applicationId: 0x74616c63,
  version: 2,
  schema: SCHEMA,
  ifNone: 'restore a backup; or move it away and run tallystick-collector init: devices send again what they still hold',
};

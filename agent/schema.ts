import { statementsOf } from '../program/schema.ts';
import type { StoreKind } from '../program/sqlite.ts';

/** `PRAGMA application_id`: "taly". */
export const APPLICATION_ID = 0x74616c79;
/** `PRAGMA user_version`: raised by one with every change of the tables. */
export const SCHEMA_VERSION = 4;
/** Entries, seals and epochs of all generations share a table each: a row's id is `log number * 2^40 + index`. */
export const LOG_STRIDE = 2 ** 40;
/** Generations one store can hold, so that ids stay below 2^53. */
export const MAX_LOGS = 2 ** 13;

/**
 * The agent's tables. All are written once: the triggers hold in SQL what the code promises, so that not even a bug of ours
 * loses or changes an entry. What they allow: an entry whose range a `shed` row records may lose its payload (its hash takes the
 * place), an epoch its salt-key (the remaining salts take its place); entries that a receipt covers, or that went on in the next log,
 * may be pruned, and then receipts that a later one makes needless, and epochs, seals and subtree hashes from which nothing that is
 * held follows.
 *
 * - `emptied`: the collector's time when it said that it holds nothing of the log any more; receipts of before count no longer
 * - `receipt_time`: the newest receipt is asked for every few seconds, and of a log of years there are a million
 */
export const SCHEMA = `
CREATE TABLE log (
  number INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND ${MAX_LOGS - 1}),
  origin TEXT NOT NULL UNIQUE,
  vkey TEXT NOT NULL UNIQUE,
  enrolment BLOB NOT NULL,
  admission BLOB,
  closed TEXT,
  undelivered INTEGER,
  emptied INTEGER,
  CHECK ((closed IS NULL) = (undelivered IS NULL))
) STRICT;

CREATE TABLE entry (
  id INTEGER PRIMARY KEY,
  stem BLOB NOT NULL,
  payload BLOB,
  payload_hash BLOB,
  leaf BLOB NOT NULL,
  CHECK (length(leaf) = 32 AND (payload IS NULL) = (payload_hash IS NOT NULL)),
  CHECK (payload_hash IS NULL OR length(payload_hash) = 32)
) STRICT;

CREATE TABLE subtree (
  log INTEGER NOT NULL REFERENCES log,
  level INTEGER NOT NULL,
  position INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (log, level, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
  id INTEGER PRIMARY KEY,
  start INTEGER NOT NULL,
  salt_key BLOB CHECK (length(salt_key) = 32),
  salts BLOB,
  CHECK ((salt_key IS NULL) = (salts IS NOT NULL))
) STRICT;

CREATE TABLE seal (
  id INTEGER PRIMARY KEY,
  size INTEGER NOT NULL CHECK (size > 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  public_key BLOB NOT NULL CHECK (length(public_key) = 32),
  next_public_key BLOB NOT NULL CHECK (length(next_public_key) = 32),
  signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;

CREATE TABLE receipt (
  log INTEGER NOT NULL REFERENCES log,
  size INTEGER NOT NULL CHECK (size > 0),
  time INTEGER NOT NULL,
  note BLOB NOT NULL,
  PRIMARY KEY (log, size, time)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_time ON receipt (log, time, size);

CREATE TABLE shed (
  first_id INTEGER PRIMARY KEY,
  end_id INTEGER NOT NULL CHECK (end_id > first_id),
  entry_id INTEGER NOT NULL
) STRICT;

CREATE TRIGGER log_update BEFORE UPDATE ON log
WHEN NEW.number IS NOT OLD.number OR NEW.origin IS NOT OLD.origin OR NEW.vkey IS NOT OLD.vkey
  OR NEW.enrolment IS NOT OLD.enrolment OR (OLD.closed IS NOT NULL AND (NEW.closed IS NOT OLD.closed OR NEW.undelivered IS NOT OLD.undelivered))
BEGIN SELECT RAISE(ABORT, 'a log is never changed'); END;
CREATE TRIGGER log_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'a log is never deleted'); END;

CREATE TRIGGER entry_update BEFORE UPDATE ON entry
WHEN NOT (
  NEW.id IS OLD.id AND NEW.stem IS OLD.stem AND NEW.leaf IS OLD.leaf
  AND OLD.payload IS NOT NULL AND NEW.payload IS NULL
  AND EXISTS (SELECT 1 FROM shed WHERE first_id <= OLD.id AND end_id > OLD.id))
BEGIN SELECT RAISE(ABORT, 'an entry is never changed: only a payload in a range recorded as shed may be erased'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
WHEN NOT EXISTS (
  SELECT 1 FROM receipt WHERE log = OLD.id / ${LOG_STRIDE} AND size > OLD.id % ${LOG_STRIDE}
    AND time > coalesce((SELECT emptied FROM log WHERE number = OLD.id / ${LOG_STRIDE}), 0))
AND NOT EXISTS (
  SELECT 1 FROM log WHERE number = OLD.id / ${LOG_STRIDE} AND undelivered <= OLD.id % ${LOG_STRIDE} AND (
    EXISTS (SELECT 1 FROM entry WHERE id = (number + 1) * ${LOG_STRIDE} + 1 + OLD.id % ${LOG_STRIDE} - undelivered
      AND (OLD.payload IS NULL OR payload IS OLD.payload))
    OR EXISTS (SELECT 1 FROM receipt WHERE log = number + 1 AND size > 1 + OLD.id % ${LOG_STRIDE} - undelivered
      AND time > coalesce((SELECT emptied FROM log AS next WHERE next.number = log), 0))))
BEGIN SELECT RAISE(ABORT, 'an entry that no receipt covers, and no later log holds, is never deleted'); END;

CREATE TRIGGER subtree_update BEFORE UPDATE ON subtree
BEGIN SELECT RAISE(ABORT, 'a subtree hash is never changed'); END;
CREATE TRIGGER subtree_delete BEFORE DELETE ON subtree
WHEN NOT EXISTS (
  SELECT 1 FROM (SELECT coalesce(
    (SELECT min(id) - OLD.log * ${LOG_STRIDE} FROM entry WHERE id >= OLD.log * ${LOG_STRIDE} AND id < (OLD.log + 1) * ${LOG_STRIDE}),
    (SELECT size FROM seal WHERE id >= OLD.log * ${LOG_STRIDE} AND id < (OLD.log + 1) * ${LOG_STRIDE} ORDER BY id DESC LIMIT 1)) AS held)
  WHERE (OLD.position / 2 + 1) * (1 << (OLD.level + 1)) <= held AND NOT (OLD.level = 0 AND OLD.position = held - 1))
BEGIN SELECT RAISE(ABORT, 'a subtree hash is deleted only within a larger subtree of pruned entries'); END;

CREATE TRIGGER epoch_update BEFORE UPDATE ON epoch
WHEN NOT EXISTS (
  SELECT 1 FROM epoch AS next JOIN shed
    ON first_id < OLD.id - OLD.id % ${LOG_STRIDE} + next.start AND end_id > OLD.id - OLD.id % ${LOG_STRIDE} + OLD.start
  WHERE next.id = OLD.id + 1 AND NEW.id IS OLD.id AND NEW.start IS OLD.start
    AND NEW.salt_key IS NULL AND length(NEW.salts) = 16 * (next.start - OLD.start))
BEGIN SELECT RAISE(ABORT, 'an epoch is never changed: only its salt-key may be erased where payloads were shed'); END;
CREATE TRIGGER epoch_delete BEFORE DELETE ON epoch
WHEN NOT EXISTS (
  SELECT 1 FROM epoch AS next WHERE next.id = OLD.id + 1 AND NOT EXISTS (
    SELECT 1 FROM entry WHERE id >= OLD.id - OLD.id % ${LOG_STRIDE} AND id < OLD.id - OLD.id % ${LOG_STRIDE} + next.start))
BEGIN SELECT RAISE(ABORT, 'an epoch is deleted only once its entries are pruned'); END;

CREATE TRIGGER seal_update BEFORE UPDATE ON seal
BEGIN SELECT RAISE(ABORT, 'a seal is never changed'); END;
CREATE TRIGGER seal_delete BEFORE DELETE ON seal
WHEN NOT EXISTS (
  SELECT 1 FROM seal AS next WHERE next.id = OLD.id + 1 AND NOT EXISTS (
    SELECT 1 FROM entry WHERE id >= OLD.id - OLD.id % ${LOG_STRIDE} AND id < OLD.id - OLD.id % ${LOG_STRIDE} + next.size))
BEGIN SELECT RAISE(ABORT, 'a seal is deleted only once the entries of the next one are pruned too'); END;

CREATE TRIGGER receipt_update BEFORE UPDATE ON receipt
BEGIN SELECT RAISE(ABORT, 'a receipt is never changed'); END;
CREATE TRIGGER receipt_delete BEFORE DELETE ON receipt
WHEN NOT EXISTS (SELECT 1 FROM receipt WHERE log = OLD.log AND size > OLD.size AND time > OLD.time)
  OR EXISTS (SELECT 1 FROM entry WHERE id >= OLD.log * ${LOG_STRIDE} AND id < OLD.log * ${LOG_STRIDE} + OLD.size)
BEGIN SELECT RAISE(ABORT, 'a receipt is deleted only once its entries are pruned and a later one covers more'); END;

CREATE TRIGGER shed_insert BEFORE INSERT ON shed
WHEN NOT EXISTS (SELECT 1 FROM entry WHERE id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'a shed range is recorded by an entry'); END;
CREATE TRIGGER shed_update BEFORE UPDATE ON shed
BEGIN SELECT RAISE(ABORT, 'a shed range is never changed'); END;
CREATE TRIGGER shed_delete BEFORE DELETE ON shed
BEGIN SELECT RAISE(ABORT, 'a shed range is never deleted'); END;
`;

export const STORE: StoreKind = {
  program: 'tallystick-agent',
  applicationId: APPLICATION_ID,
  version: SCHEMA_VERSION,
  schema: SCHEMA,
};

/** The statements of {@link SCHEMA} by what they make, as SQLite keeps them. */
export const STATEMENTS = statementsOf(SCHEMA);

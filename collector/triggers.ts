/** What holds in SQL that nothing received or signed is lost or changed; part of the schema (schema.ts), after the tables. */
export const TRIGGERS = `
CREATE TRIGGER log_update BEFORE UPDATE ON log
WHEN NEW.number IS NOT OLD.number OR NEW.origin IS NOT OLD.origin OR NEW.device IS NOT OLD.device
  OR NEW.vkey IS NOT OLD.vkey OR NEW.admission IS NOT OLD.admission OR NEW.size < OLD.size OR NEW.time < OLD.time
  OR NEW.merged_time < OLD.merged_time OR NEW.k < OLD.k
  OR (NEW.size = OLD.size AND (NEW.peaks IS NOT OLD.peaks OR NEW.head IS NOT OLD.head OR NEW.k IS NOT OLD.k
    OR NEW.seal_key IS NOT OLD.seal_key OR NEW.merged_time IS NOT OLD.merged_time))
BEGIN SELECT RAISE(ABORT, 'a log only grows'); END;
CREATE TRIGGER log_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'a log is never deleted'); END;

CREATE TRIGGER entry_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;

CREATE TRIGGER payload_update BEFORE UPDATE ON payload
BEGIN SELECT RAISE(ABORT, 'a payload is never changed'); END;
CREATE TRIGGER payload_delete BEFORE DELETE ON payload
BEGIN SELECT RAISE(ABORT, 'a payload is never deleted'); END;

CREATE TRIGGER seal_update BEFORE UPDATE ON seal
BEGIN SELECT RAISE(ABORT, 'a seal is never changed'); END;
CREATE TRIGGER seal_delete BEFORE DELETE ON seal
BEGIN SELECT RAISE(ABORT, 'a seal is never deleted'); END;

CREATE TRIGGER salt_update BEFORE UPDATE ON salt
BEGIN SELECT RAISE(ABORT, 'salts are never changed'); END;
CREATE TRIGGER salt_delete BEFORE DELETE ON salt
BEGIN SELECT RAISE(ABORT, 'salts are never deleted'); END;

CREATE TRIGGER subtree_update BEFORE UPDATE ON subtree
BEGIN SELECT RAISE(ABORT, 'a subtree hash is never changed'); END;
CREATE TRIGGER subtree_delete BEFORE DELETE ON subtree
BEGIN SELECT RAISE(ABORT, 'a subtree hash is never deleted'); END;

CREATE TRIGGER leaf_insert BEFORE INSERT ON leaf
WHEN NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM leaf)
BEGIN SELECT RAISE(ABORT, 'leaves follow one another'); END;
CREATE TRIGGER leaf_update BEFORE UPDATE ON leaf
BEGIN SELECT RAISE(ABORT, 'a leaf is never changed'); END;
CREATE TRIGGER leaf_delete BEFORE DELETE ON leaf
BEGIN SELECT RAISE(ABORT, 'a leaf is never deleted'); END;

CREATE TRIGGER fleet_update BEFORE UPDATE ON fleet
WHEN NEW.number IS NOT OLD.number OR NEW.fleet_vkey IS NOT OLD.fleet_vkey OR NEW.collector_vkey IS NOT OLD.collector_vkey
  OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.peaks IS NOT OLD.peaks)
  OR (NEW.log_vkey IS OLD.log_vkey AND (NEW.signed < OLD.signed OR (NEW.signed = OLD.signed AND NEW.checkpoint IS NOT OLD.checkpoint)
    OR NEW.since IS NOT OLD.since OR (OLD.lost IS NOT NULL AND NEW.lost IS NOT OLD.lost)))
BEGIN SELECT RAISE(ABORT, 'the fleet log only grows'); END;
CREATE TRIGGER fleet_renew BEFORE UPDATE ON fleet
WHEN NEW.log_vkey IS NOT OLD.log_vkey AND (NEW.signed > 0 OR NEW.log_vkey IN (SELECT vkey FROM former_log)
  OR NOT EXISTS (SELECT 1 FROM former_log WHERE vkey = OLD.log_vkey AND signed = OLD.signed AND checkpoint IS OLD.checkpoint))
BEGIN SELECT RAISE(ABORT, 'only a key that has signed nothing takes over the fleet log'); END;
CREATE TRIGGER fleet_delete BEFORE DELETE ON fleet
BEGIN SELECT RAISE(ABORT, 'the fleet log is never deleted'); END;

CREATE TRIGGER former_log_update BEFORE UPDATE ON former_log
BEGIN SELECT RAISE(ABORT, 'a former key is never changed'); END;
CREATE TRIGGER former_log_delete BEFORE DELETE ON former_log
BEGIN SELECT RAISE(ABORT, 'a former key is never deleted'); END;

CREATE TRIGGER fleet_subtree_update BEFORE UPDATE ON fleet_subtree
BEGIN SELECT RAISE(ABORT, 'a subtree hash is never changed'); END;
CREATE TRIGGER fleet_subtree_delete BEFORE DELETE ON fleet_subtree
BEGIN SELECT RAISE(ABORT, 'a subtree hash is never deleted'); END;

CREATE TRIGGER token_update BEFORE UPDATE ON token
WHEN NEW.number IS NOT OLD.number OR NEW.key IS NOT OLD.key OR NEW.device IS NOT OLD.device OR NEW.count IS NOT OLD.count
  OR NEW.used < OLD.used OR (OLD.revoked IS NOT NULL AND NEW.revoked IS NOT OLD.revoked)
BEGIN SELECT RAISE(ABORT, 'a token is only used or revoked'); END;
CREATE TRIGGER token_delete BEFORE DELETE ON token
BEGIN SELECT RAISE(ABORT, 'a token is never deleted'); END;

CREATE TRIGGER fork_update BEFORE UPDATE ON fork
BEGIN SELECT RAISE(ABORT, 'evidence is never changed'); END;
CREATE TRIGGER fork_delete BEFORE DELETE ON fork
BEGIN SELECT RAISE(ABORT, 'evidence is never deleted'); END;
`;

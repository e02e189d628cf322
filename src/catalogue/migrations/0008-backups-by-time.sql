-- Backups are paged newest first.
CREATE INDEX backup_by_time ON backup (time DESC, vault DESC, id DESC);

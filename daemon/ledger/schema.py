"""The Ledger's tables, and the numbered migrations that bring an older Ledger to this version.

Statements end in ``;`` and a newline. A migration runs in one transaction. To change a table: raise VERSION, change
SCHEMA, and add ``MIGRATIONS[VERSION]``; `tests/daemon/ledger/test_migrations.py` checks that both give the same tables.
"""

from __future__ import annotations

from typing import get_args

from daemon.ledger.job import Blame, Source, State

VERSION = 9
FIRST_VERSION = 5  # of 0.1.0, the oldest that can be converted

PHOTOS = """
CREATE TABLE photos (                    -- what is in the folders, as last seen
    path BLOB PRIMARY KEY,               -- relative to the Root, as the file system's bytes
    preset BLOB NOT NULL,                -- the Inbox's name
    presence TEXT NOT NULL CHECK (presence IN ('present', 'gone', 'changed')), -- changed: look at it again
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    digest TEXT                          -- sha256 of its bytes; NULL if they cannot be read
);
CREATE INDEX photos_by_preset ON photos (preset, presence)"""

JOBS = f"""
CREATE TABLE jobs (                      -- the work to do, and what became of it
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: someone may still hold an old number
    source TEXT NOT NULL CHECK (source IN {get_args(Source)}),
    photo BLOB NOT NULL,                 -- paths inside the Root are relative to it
    preset BLOB NOT NULL,
    recipe TEXT REFERENCES pinned_presets, -- NULL while no valid Preset has that name
    digest TEXT,                         -- as in photos
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    target BLOB,                         -- the Result's file, if someone named one
    state TEXT NOT NULL CHECK (state IN {get_args(State)}),
    attempts INTEGER NOT NULL DEFAULT 0, -- how often it was started
    blame TEXT CHECK (blame IN {get_args(Blame)}), -- of a failed Job
    reason TEXT,
    part BLOB,                           -- the Result's temporary file, from before its rename until the Job is done
    result BLOB,
    result_digest TEXT,                  -- sha256 of the Result's bytes
    keep_result INTEGER NOT NULL DEFAULT 0, -- its photo was removed: another photo's Result never replaces this one
    leased INTEGER NOT NULL DEFAULT 0,   -- worthless once whoever asked for it is gone
    original TEXT CHECK (original IN ('move', 'trash')), -- what is still to be done with the photo
    queued_at REAL NOT NULL, started_at REAL, finished_at REAL
);
CREATE UNIQUE INDEX one_job ON jobs (photo, digest) WHERE source = 'folder' AND digest IS NOT NULL;
CREATE INDEX by_state ON jobs (state, source = 'folder', id);
CREATE INDEX by_photo ON jobs (photo);
CREATE INDEX by_digest ON jobs (digest);
CREATE INDEX by_preset ON jobs (preset, state, source);
CREATE INDEX by_result ON jobs (result) WHERE result IS NOT NULL;
CREATE INDEX by_finish ON jobs (finished_at, state, preset, started_at) WHERE finished_at IS NOT NULL;
CREATE INDEX by_result_digest ON jobs (result_digest) WHERE result_digest IS NOT NULL;
CREATE INDEX originals_due ON jobs (id) WHERE original IS NOT NULL"""

SERIES = """
CREATE TABLE series (                    -- the tables of Looks that are fitted to a series
    digest TEXT PRIMARY KEY,             -- the Preset's own
    lut BLOB NOT NULL                    -- its colours in 16 bits
)"""

CLIENTS = """
CREATE TABLE clients (                   -- who may use this daemon from elsewhere
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: its Jobs may outlive it
    name TEXT NOT NULL,                  -- as it calls itself
    token BLOB NOT NULL UNIQUE,          -- sha256
    complete INTEGER NOT NULL,           -- may act on all Jobs
    paired_at REAL NOT NULL, seen_at REAL NOT NULL
);
CREATE TABLE invitations (               -- to become a client
    code BLOB PRIMARY KEY,               -- sha256
    complete INTEGER NOT NULL,
    until REAL NOT NULL
);
CREATE TABLE owners (                    -- the Jobs whose photos clients have sent
    job INTEGER PRIMARY KEY,
    client INTEGER NOT NULL,
    ticket TEXT                          -- the client's own name for the Job: it has one at most
);
CREATE INDEX by_client ON owners (client);
CREATE UNIQUE INDEX one_ticket ON owners (client, ticket) WHERE ticket IS NOT NULL"""

NOTES = """
CREATE TABLE notes (                     -- what Results could not keep
    job INTEGER PRIMARY KEY,
    sentences TEXT NOT NULL              -- a JSON array
)"""

SCHEMA = f"""
CREATE TABLE pinned_presets (            -- the Presets that Jobs were queued with, each once
    digest TEXT PRIMARY KEY,             -- sha256 of the JSON
    preset TEXT NOT NULL                 -- the Preset as JSON
);
CREATE TABLE switches (name TEXT PRIMARY KEY);
{PHOTOS};
{JOBS};
{SERIES};
{CLIENTS};
{NOTES}"""

# Version 5 kept photos and Jobs in one table: inode -1 meant gone, -2 changed; digests of files that cannot be read
# began with a prefix; a cancelled Job without finished_at was one that the worker had not left yet.
TO_6 = f"""
ALTER TABLE recipes RENAME TO pinned_presets;
ALTER TABLE jobs RENAME TO old_jobs;
DROP INDEX one_job;
DROP INDEX by_state;
DROP INDEX uploads;
DROP INDEX by_digest;
DROP INDEX by_preset;
DROP INDEX by_result;
DROP INDEX by_finish;
DROP INDEX by_result_digest;
{PHOTOS};
{JOBS};
INSERT INTO photos SELECT photo, preset, CASE WHEN inode >= 0 THEN 'present' WHEN inode = -1 THEN 'gone' ELSE 'changed'
    END, size, mtime_ns, ctime_ns, max(inode, 0), CASE WHEN digest NOT LIKE '%:%' THEN digest END FROM (SELECT *,
    row_number() OVER (PARTITION BY photo ORDER BY inode >= 0 DESC, id DESC) AS rank FROM old_jobs
    WHERE source = 'folder') WHERE rank = 1;
INSERT INTO jobs (id, source, photo, preset, recipe, digest, size, mtime_ns, ctime_ns, inode, target, state, attempts,
    blame, reason, result, result_digest, keep_result, leased, original, queued_at, started_at, finished_at)
    SELECT id, source, photo, preset, recipe, CASE WHEN digest NOT LIKE '%:%' THEN digest END, size, mtime_ns, ctime_ns,
    max(inode, 0), target, CASE WHEN state = 'cancelled' AND finished_at IS NULL THEN 'cancelling' ELSE state END,
    attempts, CASE WHEN state = 'failed' THEN CASE WHEN digest LIKE 'refused:%' THEN 'kind' WHEN recipe IS NULL THEN
    'preset' WHEN mendable THEN 'system' ELSE 'photo' END END, reason, result, result_digest, source = 'folder' AND
    inode = -1, leased, original, queued_at, started_at, finished_at FROM old_jobs ORDER BY id;
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'old_jobs') WHERE name = 'jobs';
DROP TABLE old_jobs"""

MIGRATIONS = {6: TO_6, 7: SERIES, 8: CLIENTS, 9: NOTES}
"""By the version that each one leads to."""

import { createHash } from "node:crypto";

const TEXT = `# Restore without Lifeboat

Everything here is in plain formats. You need \`zstd\`, \`tar\`, \`sha256sum\`, and \`sqlite3\` or the
PostgreSQL programs of the server's own major version. With Lifeboat at hand, one command does it:
\`lifeboat restore --repository . --app APP --to DIRECTORY\`.

## What lies where

    APP/sqlite/NAME/backups/ID/NAME.db.zst            a whole SQLite database file
    APP/sqlite/NAME/backups/ID/NAME.db-wal.zst        the pages that changed since the parent, as a WAL
    APP/sqlite/NAME/backups/ID/NAME.db-pages.zst      hashes for the next backup; a restore does not need them
    APP/sqlite/NAME/wal/LINEAGE/FIRST-LAST.TIME.wal.zst   what was committed since, as WALs of their own
    APP/postgres/SYSTEM/backups/ID/base.tar.zst       a data directory, as pg_basebackup -Ft makes it
    APP/postgres/SYSTEM/backups/ID/OID.tar.zst        a tablespace (its number in pg_tablespace)
    APP/postgres/SYSTEM/backups/ID/….0001.tar.zst     more of the same, where several workers took the backup
    APP/postgres/SYSTEM/backups/ID/backup_manifest.tar.zst   the server's manifest, where it is not in base.tar
    APP/postgres/SYSTEM/backups/ID/ranges.zst         for lifeboat restore --delta alone
    APP/postgres/SYSTEM/backups/ID/settings/          settings files that lay outside the data directory
    APP/postgres/SYSTEM/wal/TIMELINE/SEGMENT.zst      WAL segments and timeline histories
    APP/postgres/SYSTEM/exports/ID/dump.0001.tar.zst  a logical dump of one database (pg_dump), in one or several tars
    …/backups/ID/manifest.json                        what belongs to the backup, written last
    …/unfinished/ID.json                              that backup or dump was never finished, unless its manifest is there: of no use
    APP/migrations/ID.json                            a run of \`lifeboat migrate\`: those that moved the product name its engine

\`ID\` is the backup's time in UTC: the greatest is the newest. \`manifest.json\` says in
\`consistentAt\` which instant it holds, and for each object the SHA-256 of the file as it lies here
(\`stored\`) and of what is in it (\`content\`).

Where there are folders of both engines, the product lives in the one that the newest file in
\`APP/migrations\` names in \`live\` (where that is null, the run moved nothing: look at the one before), since the
instant in \`details.movedAt\`. What the other engine holds of later instants is behind. Without such a file it
never left the first one.

## 1. Check the backup

    cd APP/…/backups/ID
    python3 -c 'import json; [print(o["stored"]["sha256"] + "  " + o["object"]) for o in json.load(open("manifest.json"))["objects"]]' | sha256sum -c

Every line must end in OK. (Without python3, compare \`sha256sum\` of each file with the manifest by eye.)

If \`manifest.json\` is gone and there is no \`unfinished/ID.json\`, the manifest was lost: look for it in other copies of the repository first. What
lies there was whole once, and is restored in the same way; \`zstd -t\` on each file finds most damage. The parent of an \`…-incr\` is then as a
rule the backup before it.

## 2a. SQLite

    mkdir -p /restore
    zstd -d NAME.db.zst -o /restore/NAME.db
    sqlite3 /restore/NAME.db 'PRAGMA integrity_check'      # must say: ok

There must be no old \`NAME.db-wal\`, \`NAME.db-shm\` or \`NAME.db-journal\` beside it. Give the file
the owner and mode that the application needs (\`details\` in the manifest). That is all for a backup whose
manifest says \`"parent": null\`.

A backup with a \`parent\` has \`NAME.db-wal.zst\` in place of \`NAME.db.zst\`. Go from parent to parent to the one
that has none and unpack that one as above. Then, in the folder of each one that builds on it, the
oldest first, lay its pages beside the file; \`sqlite3\` applies them:

    zstd -dfq NAME.db-wal.zst -o /restore/NAME.db-wal
    sqlite3 /restore/NAME.db 'PRAGMA wal_checkpoint'       # must say: 0, and twice a number that is not 0

To go on from a backup to a later instant, look in its manifest for \`details\`, \`log\`, \`lineage\`: the
log that follows lies in \`APP/sqlite/NAME/wal/LINEAGE\`. Begin with the oldest backup that names this lineage. Each
object carries the SHA-256 of its content at its end:

    for f in LOG/*.wal.zst; do
      grep -aq "content sha256=$(zstd -dcq "$f" | sha256sum | cut -c1-64) " "$f" && echo "$f: OK" || echo "$f: DAMAGED"
    done

Then apply them in the order of their names, those with \`.pages.\` in their name left out (they only repeat
others), up to the last whose time is not after the one you want, or up to a number that is missing:

    next=1
    for f in LOG/*Z.wal.zst; do
      name=$(basename "$f")
      span=$(echo "$name" | cut -d. -f1)
      time=$(echo "$name" | cut -d. -f2,3)
      if [ "$((10#\${span%-*}))" -gt "$next" ]; then echo "segment $next is missing"; break; fi
      if [[ "$time" > "UNTIL" ]]; then break; fi
      zstd -dcq "$f" > /restore/NAME.db-wal
      sqlite3 /restore/NAME.db 'PRAGMA wal_checkpoint' > /restore/said
      echo "$name: $(cat /restore/said)"
      next=$((10#\${span#*-} + 1))
    done
    sqlite3 /restore/NAME.db 'PRAGMA integrity_check'

\`LOG\` is that folder and \`UNTIL\` an instant written as in the names, such as \`20261122T101500.123Z\`; \`z\` takes
all. (Use bash.) Each line must say 0 and twice a number that is not 0. Several commits lie in one object: to stop
between two of them Lifeboat is needed.

## 2b. PostgreSQL

Use an empty directory that belongs to the account that runs the server, and work as that account
(\`su postgres\`; Postgres refuses root), with read access to this repository. On Debian and Ubuntu the server's programs
are in no PATH: \`PATH=/usr/lib/postgresql/MAJOR/bin:$PATH\` first, by the server's major version, which \`serverVersion\` in
\`manifest.json\` begins with (15, 17).

    mkdir -m 0700 /restore/data
    for part in base.tar.zst base.*.tar.zst backup_manifest.tar.zst; do
      if [ -e "$part" ]; then zstd -dc "$part" | tar -x -C /restore/data; fi
    done

Tablespaces, if there are files \`OID.tar.zst\`: unpack each into an empty directory and link it.

    mkdir -m 0700 /restore/OID
    for part in OID.tar.zst OID.*.tar.zst; do
      if [ -e "$part" ]; then zstd -dc "$part" | tar -x -C /restore/OID; fi
    done
    ln -s /restore/OID /restore/data/pg_tblspc/OID

Of an incremental backup (\`…-incr\`) this is not the whole: \`parent\` in its \`manifest.json\` names the
backup that it builds on, whose own may name another. Unpack each of them in this way into directories of their own
and put them together, the full one first; then go on with what came out:

    pg_combinebackup /restore/full /restore/first /restore/second -o /restore/data

With tablespaces, unpack those of each backup beside its own directory (\`/restore/full-OID\`, \`/restore/first-OID\`, …) and link them from
its \`pg_tblspc\`; then say for each of them where that of the last backup is to come to:

    pg_combinebackup /restore/full /restore/first /restore/second -o /restore/data -T /restore/second-OID=/restore/OID

Check what was unpacked with the server's own program, of the server's major version (without \`-n\` it
also wants the WAL, which comes below):

    pg_verifybackup -n /restore/data

Only then say where the tablespaces are now, one line for each: the server makes the links anew from it.

    echo 'OID /restore/OID' > /restore/data/tablespace_map

A tablespace that was made after the backup is made again by the recovery, at the path where the original made it: that directory
has to be there, and empty. Never recover past that instant where the original still uses it: the copy would write into its files.
Take a later backup, or do it on another host.

If there is a folder \`settings\`, unpack its files over the data directory's (\`postgresql.conf\`,
\`pg_hba.conf\`, \`pg_ident.conf\`) and remove from \`postgresql.conf\` the settings that name paths of
the old host (\`data_directory\`, \`hba_file\`, \`ident_file\`, \`external_pid_file\`, \`include_dir\`):

    zstd -d settings/postgresql.conf.zst -o /restore/data/postgresql.conf

Now tell the server where its WAL is and how far to go, and start it. \`WAL\` is the absolute path of
\`APP/postgres/SYSTEM/wal\` here:

    cat >> /restore/data/postgresql.auto.conf <<'END'
    restore_command = 'zstd -dcq "WAL/$(echo %f | cut -c1-8)/%f.zst" > "%p"'
    recovery_target_timeline = 'latest'
    recovery_target_action = 'promote'
    archive_mode = 'off'
    END
    touch /restore/data/recovery.signal
    pg_ctl -D /restore/data -l /restore/log start

If the WAL was streamed (\`wal receive\`), its newest segment lies in \`WAL\` as \`SEGMENT.OFFSET.part.zst\`, and counts where no
\`SEGMENT.zst\` is there. Before the start, lay the one with the greatest offset into \`pg_wal\`, filled up with zeros to
the size of the others (16M unless initdb said otherwise):

    zstd -dc WAL/TIMELINE/SEGMENT.OFFSET.part.zst > /restore/data/pg_wal/SEGMENT
    truncate -s 16M /restore/data/pg_wal/SEGMENT

If several timelines lie in \`WAL\`, \`latest\` follows the greatest. That is right after a promotion; a
copy that was once started beside the original has left a greater one, too: then write the original's
number (\`recovery_target_timeline = '1'\`).

For an instant, add \`recovery_target_time = '2026-11-22 10:15:00.123+00'\` (not before the backup's
\`consistentAt\`); for the backup alone, \`recovery_target = 'immediate'\`. Read \`/restore/log\` to the
end: "archive recovery complete" must stand there. A WAL file that is damaged looks to the server like
the end of the archive, so look also for lines of \`zstd\` that say more than "No such file".
Set \`archive_mode\` again when the new server is to archive, into a repository of its own.

## 3. A logical dump

Into any server that is not older than \`dumpVersion\` in the export's \`manifest.json\`, by a \`pg_restore\` that is not older either. Check it as
in 1., in \`APP/postgres/SYSTEM/exports/ID\`. Unpack all of it into an empty directory:

    mkdir -m 0700 /restore
    for part in dump.*.tar.zst; do
      zstd -dc "$part" | tar -x -C /restore
    done

Make the roles that the new server lacks, with passwords of your own (\`globals.sql.zst\` has them without), and an empty database;
then load it:

    zstd -dc globals.sql.zst | psql -d postgres
    createdb -T template0 NAME
    pg_restore --exit-on-error --jobs 2 -d NAME /restore/dump

psql complains of the roles that are there already, and of nothing else. If \`zstd -dc globals.sql.zst | grep TABLESPACE\` names
tablespaces, make their directories first, at the paths in those lines, empty and of the server's own account; or put all that
is in them into the database's own place, with these lines instead:

    zstd -dc globals.sql.zst | grep -v TABLESPACE | psql -d postgres
    createdb -T template0 NAME
    pg_restore --exit-on-error --jobs 2 --no-tablespaces -d NAME /restore/dump

A dump that \`export --to\` wrote into a file of its own is one such tar, with \`export.json\` and \`globals.sql\` in it; when it is
unpacked, \`sha256sum -c SHA256SUMS\` in that directory checks it.

This text is whole if \`head -n -1 RESTORE.md | sha256sum\` says what stands in its last line:
`;

/**
 * RESTORE.md, laid into each repository: how to restore with tar, zstd, sha256sum, sqlite3 and the
 * server's own programs alone. `test/recovery/` follows it word by word.
 */
export const RESTORE_GUIDE = `${TEXT}${digestOf(TEXT)}\n`;

/** Whether a guide is as a Lifeboat wrote it, this one or another version: it ends in its own digest. */
export function isWholeGuide(bytes: Buffer): boolean {
  const lastLine = bytes.lastIndexOf("\n", -2) + 1;
  const sealed = Buffer.from(`${digestOf(bytes.subarray(0, lastLine))}\n`);
  return bytes.subarray(lastLine).equals(sealed);
}

function digestOf(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

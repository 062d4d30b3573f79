-- Identity of a row that tells an event: milliseconds since the epoch << 20 | microseconds within it << 10 | sequence.
-- So ids are in time order, time ranges are ranges of the primary key, and no index on time is needed.
-- `late` is the event's time minus the time in its id (microseconds; 0 unless more than 1,024 rows share a microsecond).
-- Times are microseconds since the epoch, UTC. `day` is the day (since the epoch) a dictionary row was last used.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Who watched when. `seen` is renewed at least once a minute of event time: after a crash it tells when watching ended.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    version TEXT NOT NULL,
    tier INTEGER,
    started INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    ended INTEGER
) STRICT;

CREATE TABLE boot (id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE text (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, value TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE ip (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, raw BLOB NOT NULL UNIQUE, address TEXT NOT NULL) STRICT;

-- Every executable ever seen, by path and content. Outlives the processes that ran it.
CREATE TABLE executable (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    path TEXT,
    sha256 TEXT
) STRICT;
CREATE INDEX executable_identity ON executable (path, sha256);

-- Parent chains: a node names one ancestor, `next` the rest of the chain.
CREATE TABLE lineage (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    next INTEGER,
    pid INTEGER NOT NULL,
    start INTEGER NOT NULL,
    name TEXT NOT NULL,
    executable TEXT
) STRICT;
CREATE INDEX lineage_identity ON lineage (pid, start, next);

-- One row a version of a process: what was known of it at one time. `latest` is 1 on the newest version of an identity.
CREATE TABLE process (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    start INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    name TEXT NOT NULL,
    executable INTEGER,
    command_line TEXT,
    command_line_hash TEXT,
    working_directory TEXT,
    script TEXT,
    user_id INTEGER,
    user_name INTEGER,
    parent_pid INTEGER,
    parent_start INTEGER,
    lineage INTEGER,
    cgroup INTEGER,
    container_runtime INTEGER,
    container_id INTEGER,
    unit INTEGER,
    network_namespace INTEGER,
    flags INTEGER NOT NULL,
    package_manager INTEGER,
    package_name INTEGER,
    package_version INTEGER,
    package_digest INTEGER,
    unread INTEGER
) STRICT;
CREATE INDEX process_identity ON process (pid, start, boot);

-- kind: 0 started, 1 updated, 2 ended.
CREATE TABLE process_event (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    process INTEGER NOT NULL
) STRICT;

-- A conversation: how it was when it opened, and (`last_…`, set when phase > 0) how it was when last written.
-- phase: 0 opened, 1 updated, 2 closed. `changed` is the time of the last event of it; `started` and `seen` count from
-- the opening, `ended` and `last_seen` from `changed`: small numbers take little room.
CREATE TABLE connection (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    run INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    started INTEGER NOT NULL,
    started_before INTEGER NOT NULL,
    transport INTEGER NOT NULL,
    source_ip INTEGER NOT NULL,
    source_port INTEGER NOT NULL,
    destination_ip INTEGER NOT NULL,
    destination_port INTEGER NOT NULL,
    side INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    network_namespace INTEGER NOT NULL,
    cookie INTEGER NOT NULL,
    user_id INTEGER,
    cgroup_id INTEGER,
    service INTEGER,
    community BLOB NOT NULL,
    seen INTEGER NOT NULL,
    state INTEGER NOT NULL,
    sent_bytes INTEGER,
    received_bytes INTEGER,
    sent_packets INTEGER,
    received_packets INTEGER,
    round_trip INTEGER,
    retransmits INTEGER,
    process INTEGER,
    attribution INTEGER NOT NULL,
    shared_with BLOB,
    changed INTEGER,
    ended INTEGER,
    last_seen INTEGER,
    last_state INTEGER,
    last_sent_bytes INTEGER,
    last_received_bytes INTEGER,
    last_sent_packets INTEGER,
    last_received_packets INTEGER,
    last_round_trip INTEGER,
    last_retransmits INTEGER,
    last_process INTEGER,
    last_attribution INTEGER,
    last_shared_with BLOB
) STRICT;
CREATE INDEX connection_changed ON connection (changed) WHERE changed IS NOT NULL;

-- As `connection`: phase 0 appeared, 1 updated, 2 gone.
CREATE TABLE listener (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    run INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    started INTEGER NOT NULL,
    started_before INTEGER NOT NULL,
    transport INTEGER NOT NULL,
    ip INTEGER NOT NULL,
    port INTEGER NOT NULL,
    network_namespace INTEGER NOT NULL,
    cookie INTEGER NOT NULL,
    user_id INTEGER,
    service INTEGER,
    process INTEGER,
    attribution INTEGER NOT NULL,
    shared_with BLOB,
    changed INTEGER,
    ended INTEGER,
    last_process INTEGER,
    last_attribution INTEGER,
    last_shared_with BLOB
) STRICT;
CREATE INDEX listener_changed ON listener (changed) WHERE changed IS NOT NULL;

CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    noticed INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    count INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- `unavailable` and `limits` are JSON: nobody asks for them by content.
CREATE TABLE tier_change (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    run INTEGER NOT NULL,
    tier INTEGER NOT NULL,
    unavailable TEXT NOT NULL,
    limits TEXT NOT NULL
) STRICT;

-- One row an alert raised; never changed. `document` is the whole alert as JSON, the rest its fields for asking.
CREATE TABLE alert (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    rule TEXT NOT NULL,
    severity_number INTEGER NOT NULL,
    severity TEXT NOT NULL,
    finding_key TEXT NOT NULL,
    technique_ids TEXT,
    technique_names TEXT,
    tactics TEXT,
    transport TEXT,
    network_type TEXT,
    direction TEXT,
    scope TEXT,
    state TEXT,
    service TEXT,
    community_id TEXT,
    network_namespace INTEGER,
    bytes INTEGER,
    source_ip TEXT,
    source_ip_raw BLOB,
    source_port INTEGER,
    source_bytes INTEGER,
    source_packets INTEGER,
    destination_ip TEXT,
    destination_ip_raw BLOB,
    destination_port INTEGER,
    destination_bytes INTEGER,
    destination_packets INTEGER,
    listen_ip TEXT,
    listen_ip_raw BLOB,
    listen_port INTEGER,
    pid INTEGER,
    process_start INTEGER,
    process_end INTEGER,
    process_name TEXT,
    executable TEXT,
    command_line TEXT,
    command_line_hash TEXT,
    working_directory TEXT,
    sha256 TEXT,
    script TEXT,
    parent_pid INTEGER,
    parent_name TEXT,
    parent_executable TEXT,
    ancestors TEXT,
    user_id INTEGER,
    user_name TEXT,
    container_id TEXT,
    container_runtime TEXT,
    cgroup TEXT,
    unit TEXT,
    package_name TEXT,
    package_version TEXT,
    package_digest TEXT,
    deleted INTEGER,
    memfd INTEGER,
    is_script INTEGER,
    unread TEXT,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE alert_count (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL,
    time INTEGER NOT NULL,
    count INTEGER NOT NULL,
    UNIQUE (alert, count)
) STRICT;

CREATE TABLE acknowledgement (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL,
    time INTEGER NOT NULL,
    by TEXT NOT NULL,
    note TEXT
) STRICT;
CREATE INDEX acknowledgement_alert ON acknowledgement (alert);

CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL,
    time INTEGER NOT NULL,
    by TEXT NOT NULL,
    verdict TEXT NOT NULL,
    note TEXT
) STRICT;
CREATE INDEX verdict_alert ON verdict (alert);

-- A row here, within the transaction that deletes, is the only way past the triggers below.
CREATE TABLE retention (id INTEGER PRIMARY KEY) STRICT;

CREATE TRIGGER alert_unchanged BEFORE UPDATE ON alert
BEGIN SELECT RAISE (ABORT, 'alerts are append-only'); END;
CREATE TRIGGER alert_kept BEFORE DELETE ON alert WHEN NOT EXISTS (SELECT 1 FROM retention)
BEGIN SELECT RAISE (ABORT, 'alerts are append-only'); END;
CREATE TRIGGER alert_count_unchanged BEFORE UPDATE ON alert_count
BEGIN SELECT RAISE (ABORT, 'alert counts are append-only'); END;
CREATE TRIGGER alert_count_kept BEFORE DELETE ON alert_count WHEN NOT EXISTS (SELECT 1 FROM retention)
BEGIN SELECT RAISE (ABORT, 'alert counts are append-only'); END;
CREATE TRIGGER acknowledgement_unchanged BEFORE UPDATE ON acknowledgement
BEGIN SELECT RAISE (ABORT, 'acknowledgements are append-only'); END;
CREATE TRIGGER acknowledgement_kept BEFORE DELETE ON acknowledgement WHEN NOT EXISTS (SELECT 1 FROM retention)
BEGIN SELECT RAISE (ABORT, 'acknowledgements are append-only'); END;
CREATE TRIGGER verdict_unchanged BEFORE UPDATE ON verdict
BEGIN SELECT RAISE (ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdict_kept BEFORE DELETE ON verdict WHEN NOT EXISTS (SELECT 1 FROM retention)
BEGIN SELECT RAISE (ABORT, 'verdicts are append-only'); END;

-- What detectors must remember across restarts.
CREATE TABLE memory (
    detector TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (detector, key)
) STRICT;

-- Schema 4: conversations in narrow rows, and sums over them that are kept from then on.

-- What repeats over conversations. -1 stands for what is unset; 0 for no service. `phase`: 0 opened, 1 updated,
-- 2 closed. `opening_…` is how it was when it opened, the rest how it was last.
-- opening_traffic: 0 nobody counted, 1 nothing yet, 2 as last, 3 in `extra`. opening_seen: 0 at the opening, 1 as last,
-- 2 in `extra`. opening_process: 0 as last, 1 unknown, 2 in `extra`.
CREATE TABLE shape (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    run INTEGER NOT NULL,
    transport INTEGER NOT NULL,
    side INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    network_namespace INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    cgroup_id INTEGER NOT NULL,
    service INTEGER NOT NULL,
    started_before INTEGER NOT NULL,
    name_source INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    state INTEGER NOT NULL,
    opening_state INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    opening_outcome INTEGER NOT NULL,
    attribution INTEGER NOT NULL,
    opening_attribution INTEGER NOT NULL,
    opening_traffic INTEGER NOT NULL,
    opening_seen INTEGER NOT NULL,
    opening_process INTEGER NOT NULL,
    UNIQUE (run, transport, side, direction, scope, network_namespace, user_id, cgroup_id, service, started_before,
        name_source, phase, state, opening_state, outcome, opening_outcome, attribution, opening_attribution,
        opening_traffic, opening_seen, opening_process)
) STRICT;

-- The old rows stay under this name until all of them have moved.
DROP TRIGGER wire_goes_with_its_connection;
DROP INDEX connection_changed;
ALTER TABLE connection RENAME TO connection_3;

-- A conversation, from the observed socket: `local` is that socket, `remote` whom it talks to. Ports are signed 16-bit
-- numbers (`& 65535`): a byte less for most. `started` (when it began) and `span` (the last event of it; NULL where
-- nothing happened since it opened) count in microseconds from the time in the id. Counters are NULL where nobody
-- counted. `extra` is NULL for what is ordinary: a blob tells what was counted when it opened, or keeps room for the
-- row to grow; a JSON object tells whatever else is odd.
CREATE TABLE connection (
    id INTEGER PRIMARY KEY,
    shape INTEGER NOT NULL,
    process INTEGER,
    local_ip INTEGER NOT NULL,
    local_port INTEGER NOT NULL,
    remote_ip INTEGER NOT NULL,
    remote_port INTEGER NOT NULL,
    name INTEGER,
    started INTEGER NOT NULL,
    span INTEGER,
    sent_bytes INTEGER,
    received_bytes INTEGER,
    sent_packets INTEGER,
    received_packets INTEGER,
    round_trip INTEGER,
    retransmits INTEGER,
    cookie INTEGER NOT NULL,
    extra ANY
) STRICT;

INSERT INTO shape (day, run, transport, side, direction, scope, network_namespace, user_id, cgroup_id, service,
    started_before, name_source, phase, state, opening_state, outcome, opening_outcome, attribution,
    opening_attribution, opening_traffic, opening_seen, opening_process)
SELECT DISTINCT
    (SELECT coalesce(max(day), 0) FROM ip), run, transport, side, direction, scope, network_namespace,
    ifnull(user_id, -1), ifnull(cgroup_id, -1), ifnull(service, 0), started_before, ifnull(name_source, -1), phase,
    iif(phase, last_state, state), state, ifnull(iif(phase, last_outcome, outcome), 0), ifnull(outcome, 0),
    iif(phase, last_attribution, attribution), attribution,
    CASE
        WHEN phase = 0 THEN 2
        WHEN sent_bytes IS NULL THEN 0
        WHEN (sent_bytes, received_bytes, sent_packets, received_packets, round_trip, retransmits)
            = (0, 0, 0, 0, 0, 0) THEN 1
        WHEN (sent_bytes, received_bytes, sent_packets, received_packets, round_trip, retransmits)
            IS (last_sent_bytes, last_received_bytes, last_sent_packets, last_received_packets, last_round_trip,
                last_retransmits) THEN 2
        ELSE 3
    END,
    CASE
        WHEN phase = 0 THEN 1
        WHEN seen = 0 THEN 0
        WHEN (id >> 20) * 1000 + ((id >> 10) & 1023) + late + seen = changed + last_seen THEN 1
        ELSE 2
    END,
    CASE WHEN phase = 0 OR process IS last_process THEN 0 WHEN process IS NULL THEN 1 ELSE 2 END
FROM connection_3;

INSERT INTO connection (id, shape, process, local_ip, local_port, remote_ip, remote_port, name, started, span,
    sent_bytes, received_bytes, sent_packets, received_packets, round_trip, retransmits, cookie, extra)
SELECT
    c.id, s.id, iif(c.phase, c.last_process, c.process),
    iif(c.side, c.destination_ip, c.source_ip),
    ((iif(c.side, c.destination_port, c.source_port) + 32768) & 65535) - 32768,
    iif(c.side, c.source_ip, c.destination_ip),
    ((iif(c.side, c.source_port, c.destination_port) + 32768) & 65535) - 32768,
    c.name, c.late + c.started,
    iif(c.phase, c.changed - ((c.id >> 20) * 1000 + ((c.id >> 10) & 1023)), NULL),
    iif(c.phase, c.last_sent_bytes, c.sent_bytes), iif(c.phase, c.last_received_bytes, c.received_bytes),
    iif(c.phase, c.last_sent_packets, c.sent_packets), iif(c.phase, c.last_received_packets, c.received_packets),
    iif(c.phase, c.last_round_trip, c.round_trip), iif(c.phase, c.last_retransmits, c.retransmits), c.cookie,
    nullif(json_patch('{}', json_object(
        'late', nullif(c.late, 0),
        'seen', nullif(iif(c.phase, c.last_seen, c.seen), 0),
        'ended', iif(c.phase = 2, nullif(c.ended, 0), iif(c.phase = 1, c.ended, NULL)),
        'endless', iif(c.phase = 2 AND c.ended IS NULL, 1, NULL),
        'opening_traffic', iif(s.opening_traffic = 3, json_array(c.sent_bytes, c.received_bytes, c.sent_packets,
            c.received_packets, c.round_trip, c.retransmits), NULL),
        'opening_seen', iif(s.opening_seen = 2, c.seen, NULL),
        'opening_process', iif(s.opening_process = 2, c.process, NULL),
        'shared_with', nullif(hex(iif(c.phase, c.last_shared_with, c.shared_with)), ''),
        'opening_shared_with', iif(c.phase AND c.shared_with IS NOT c.last_shared_with, hex(c.shared_with), NULL)
    )), '{}')
FROM connection_3 c JOIN shape s ON s.run = c.run AND s.transport = c.transport AND s.side = c.side
    AND s.direction = c.direction AND s.scope = c.scope AND s.network_namespace = c.network_namespace
    AND s.user_id = ifnull(c.user_id, -1) AND s.cgroup_id = ifnull(c.cgroup_id, -1)
    AND s.service = ifnull(c.service, 0) AND s.started_before = c.started_before
    AND s.name_source = ifnull(c.name_source, -1) AND s.phase = c.phase
    AND s.state = iif(c.phase, c.last_state, c.state) AND s.opening_state = c.state
    AND s.outcome = ifnull(iif(c.phase, c.last_outcome, c.outcome), 0) AND s.opening_outcome = ifnull(c.outcome, 0)
    AND s.attribution = iif(c.phase, c.last_attribution, c.attribution) AND s.opening_attribution = c.attribution
    AND s.opening_traffic = CASE
        WHEN c.phase = 0 THEN 2
        WHEN c.sent_bytes IS NULL THEN 0
        WHEN (c.sent_bytes, c.received_bytes, c.sent_packets, c.received_packets, c.round_trip, c.retransmits)
            = (0, 0, 0, 0, 0, 0) THEN 1
        WHEN (c.sent_bytes, c.received_bytes, c.sent_packets, c.received_packets, c.round_trip, c.retransmits)
            IS (c.last_sent_bytes, c.last_received_bytes, c.last_sent_packets, c.last_received_packets,
                c.last_round_trip, c.last_retransmits) THEN 2
        ELSE 3
    END
    AND s.opening_seen = CASE
        WHEN c.phase = 0 THEN 1
        WHEN c.seen = 0 THEN 0
        WHEN (c.id >> 20) * 1000 + ((c.id >> 10) & 1023) + c.late + c.seen = c.changed + c.last_seen THEN 1
        ELSE 2
    END
    AND s.opening_process = CASE
        WHEN c.phase = 0 OR c.process IS c.last_process THEN 0 WHEN c.process IS NULL THEN 1 ELSE 2
    END
ORDER BY c.id;

DROP TABLE connection_3;

-- The conversations of each remote address: an index, but one that is written together with the sums, in the order in
-- which it lies, also where rows go from it; until then `tally` has what is missing, and what is too much. The other end is mostly this host: only where no process is known
-- may it be a stranger, and has an index.
CREATE TABLE connection_by_ip (
    ip INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (ip, id)
) STRICT, WITHOUT ROWID;
INSERT INTO connection_by_ip SELECT remote_ip, id FROM connection ORDER BY remote_ip, id;
CREATE INDEX connection_local ON connection (local_ip) WHERE process IS NULL;
-- What lived over an hour, or ended before it began (the clock was set): a range of time that begins in the middle.
CREATE INDEX connection_long ON connection ((id >> 20) * 1000 + ((id >> 10) & 1023) + span)
    WHERE span > 3600000000 OR span < 0;

CREATE TRIGGER all_goes_with_its_connection AFTER DELETE ON connection BEGIN
    DELETE FROM wire WHERE connection = old.id;
END;

-- Sums over conversations. What was told within a minute of event time is added up in memory and comes here in one
-- transaction; until then `tally` keeps it, so that after a crash nothing is missing and nothing counts twice. A
-- conversation counts when it opened; its bytes count when they were told; what went before the watch began is not
-- counted. `ip` is the remote address. Hours and days are numbered from the epoch; `…_seen` are seconds since then.

-- What runs, whatever process it is: by path and script, or by name where no path is known. 0 is whoever is unknown.
CREATE TABLE program (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    path TEXT,
    script TEXT,
    first_seen INTEGER,
    last_seen INTEGER,
    connections INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    sent_bytes INTEGER NOT NULL DEFAULT 0,
    received_bytes INTEGER NOT NULL DEFAULT 0,
    addresses INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO program (id, name) VALUES (0, '');
INSERT INTO program (name, path, script)
SELECT min(p.name), x.path, p.script FROM process p LEFT JOIN executable x ON x.id = p.executable
GROUP BY x.path, p.script, iif(x.path IS NULL, p.name, NULL);
CREATE INDEX program_identity ON program (path, script);
ALTER TABLE process ADD COLUMN program INTEGER;
CREATE INDEX process_program ON process (program);
UPDATE process SET program = (
    SELECT g.id FROM program g
    WHERE g.path IS (SELECT path FROM executable x WHERE x.id = process.executable) AND g.script IS process.script
        AND (g.path IS NOT NULL OR g.name = process.name) AND g.id > 0
);

-- Remote addresses: how often, since when, and how much. `begun` counts the conversations that this host began.
-- `country`, `asn` and `organization` (a text) are of the day when the address was first seen.
ALTER TABLE ip ADD COLUMN first_seen INTEGER;
ALTER TABLE ip ADD COLUMN last_seen INTEGER;
ALTER TABLE ip ADD COLUMN connections INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ip ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ip ADD COLUMN sent_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ip ADD COLUMN received_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ip ADD COLUMN country TEXT;
ALTER TABLE ip ADD COLUMN asn INTEGER;
ALTER TABLE ip ADD COLUMN organization INTEGER;
CREATE INDEX ip_rare ON ip (last_seen) WHERE begun BETWEEN 1 AND 3;
-- What an address points at stays as long as the address.
CREATE INDEX ip_organization ON ip (organization) WHERE organization IS NOT NULL;

CREATE TABLE process_use (
    process INTEGER PRIMARY KEY,
    last_seen INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX process_use_seen ON process_use (last_seen);
CREATE TRIGGER use_goes_with_its_process AFTER DELETE ON process BEGIN
    DELETE FROM process_use WHERE process = old.id;
END;

CREATE TABLE rollup_minute (
    minute INTEGER PRIMARY KEY,
    connections INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE rollup_hour_ip (
    hour INTEGER NOT NULL,
    ip INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    PRIMARY KEY (hour, ip)
) STRICT, WITHOUT ROWID;
-- The addresses with the most bytes of each hour; outlives `rollup_hour_ip`.
CREATE TABLE rollup_hour_top (
    hour INTEGER NOT NULL,
    ip INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    PRIMARY KEY (hour, ip)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_day_ip (
    day INTEGER NOT NULL,
    ip INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    PRIMARY KEY (day, ip)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_hour_program (
    hour INTEGER NOT NULL,
    program INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    PRIMARY KEY (hour, program)
) STRICT, WITHOUT ROWID;
-- `port` is the destination's; -1 for all those beyond the 1,024th of one minute.
CREATE TABLE rollup_hour_port (
    hour INTEGER NOT NULL,
    transport INTEGER NOT NULL,
    port INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    PRIMARY KEY (hour, transport, port)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_program_ip (
    ip INTEGER NOT NULL,
    program INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    PRIMARY KEY (ip, program)
) STRICT, WITHOUT ROWID;

-- One row a batch since sums were last written: what the batch adds to them, and to `connection_by_ip`.
CREATE TABLE tally (id INTEGER PRIMARY KEY, entries BLOB NOT NULL, rows BLOB NOT NULL) STRICT;

ALTER TABLE alert ADD COLUMN source_country TEXT;
ALTER TABLE alert ADD COLUMN source_asn INTEGER;
ALTER TABLE alert ADD COLUMN source_organization TEXT;
ALTER TABLE alert ADD COLUMN destination_country TEXT;
ALTER TABLE alert ADD COLUMN destination_asn INTEGER;
ALTER TABLE alert ADD COLUMN destination_organization TEXT;
ALTER TABLE alert ADD COLUMN country TEXT;
ALTER TABLE alert ADD COLUMN asn INTEGER;
CREATE INDEX alert_time ON alert (time, rule, severity_number);

-- What was said inside conversations: a row a fact, as it was told. `document` is all of it, as JSON; the columns are for
-- asking. `connection` is unset where its row was not kept. `began` counts from the event. Names and fingerprints are
-- numbers of texts.

CREATE TABLE dns_exchange (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    began INTEGER NOT NULL,
    connection INTEGER,
    process INTEGER,
    transport INTEGER NOT NULL,
    source_ip INTEGER NOT NULL,
    source_port INTEGER NOT NULL,
    destination_ip INTEGER NOT NULL,
    destination_port INTEGER NOT NULL,
    question_name INTEGER,
    question_type INTEGER,
    response_code INTEGER,
    answers TEXT,
    took INTEGER,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX dns_exchange_name ON dns_exchange (question_name) WHERE question_name IS NOT NULL;

CREATE TABLE tls_handshake (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    began INTEGER NOT NULL,
    connection INTEGER,
    process INTEGER,
    transport INTEGER NOT NULL,
    source_ip INTEGER NOT NULL,
    source_port INTEGER NOT NULL,
    destination_ip INTEGER NOT NULL,
    destination_port INTEGER NOT NULL,
    tls_protocol INTEGER,
    tls_version INTEGER,
    tls_next_protocol INTEGER,
    server_name INTEGER,
    ja3 INTEGER,
    ja4 INTEGER,
    alpn TEXT,
    ja3s INTEGER,
    tls_subject INTEGER,
    tls_issuer INTEGER,
    certificate_sha256 INTEGER,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX tls_handshake_name ON tls_handshake (server_name) WHERE server_name IS NOT NULL;

CREATE TABLE http_request (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    began INTEGER NOT NULL,
    connection INTEGER,
    process INTEGER,
    transport INTEGER NOT NULL,
    source_ip INTEGER NOT NULL,
    source_port INTEGER NOT NULL,
    destination_ip INTEGER NOT NULL,
    destination_port INTEGER NOT NULL,
    http_version INTEGER,
    http_method INTEGER,
    http_referrer TEXT,
    http_request_mime_type INTEGER,
    http_request_bytes INTEGER,
    http_status INTEGER,
    http_response_mime_type INTEGER,
    http_response_bytes INTEGER,
    url_domain INTEGER,
    url_path TEXT,
    url_query TEXT,
    user_agent INTEGER,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX http_request_domain ON http_request (url_domain) WHERE url_domain IS NOT NULL;

CREATE TABLE protocol_message (
    id INTEGER PRIMARY KEY,
    late INTEGER NOT NULL,
    began INTEGER NOT NULL,
    connection INTEGER,
    process INTEGER,
    transport INTEGER NOT NULL,
    source_ip INTEGER NOT NULL,
    source_port INTEGER NOT NULL,
    destination_ip INTEGER NOT NULL,
    destination_port INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;

-- For work to come: alerts that belong together, and what was scanned by hand. Both are told as JSON.
CREATE TABLE incident (
    id INTEGER PRIMARY KEY,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    severity_number INTEGER NOT NULL,
    state TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE TABLE incident_alert (
    incident INTEGER NOT NULL,
    alert INTEGER NOT NULL,
    PRIMARY KEY (incident, alert)
) STRICT, WITHOUT ROWID;
CREATE TABLE scan (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;

-- What was summed up of an address goes with it.
CREATE TRIGGER sums_go_with_their_address AFTER DELETE ON ip BEGIN
    UPDATE program SET addresses = max(0, addresses - 1)
    WHERE id IN (SELECT program FROM rollup_program_ip WHERE ip = old.id);
    DELETE FROM rollup_program_ip WHERE ip = old.id;
END;

-- Alerts that nobody has seen or closed, the gravest first.
-- :since = 7d, how far back
SELECT id, local(time) AS raised, severity, rule, count, process_name, executable, destination_ip, destination_port
FROM alerts
WHERE time >= ago(:since) AND NOT acknowledged AND verdict IS NULL
ORDER BY severity_number DESC, time DESC
LIMIT 200

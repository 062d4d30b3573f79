-- Conversations that lasted long, the longest first.
-- :since = 7d, begun since then
-- :longer = 1h, longer than this
SELECT local(start_time) AS start, human_span(duration) AS lasted, live, process_name, pid, destination_ip,
       destination_port, destination_domain AS domain, human_bytes(bytes) AS bytes
FROM connections
WHERE id >= id_at(ago(:since)) AND duration >= now() - ago(:longer)
ORDER BY duration DESC
LIMIT 200

-- Everything with an address or a network, the newest first.
-- :ip, an address or networks, such as 203.0.113.0/24
-- :since = 7d, how far back
SELECT local(start_time) AS start, human_span(duration) AS duration, process_name, pid, direction, source_ip,
       source_port, destination_ip, destination_port, destination_domain AS domain, state,
       human_bytes(bytes) AS bytes
FROM connections
WHERE id >= id_at(ago(:since)) AND (ip_in(source_ip, :ip) OR ip_in(destination_ip, :ip))
ORDER BY id DESC
LIMIT 500

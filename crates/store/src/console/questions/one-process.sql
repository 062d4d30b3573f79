-- What a process did on the network, the newest first.
-- :name, its name or the path of its executable
-- :since = 7d, how far back
SELECT local(start_time) AS start, human_span(duration) AS duration, pid, user_name, direction, destination_ip,
       destination_port, destination_domain AS domain, state, human_bytes(bytes) AS bytes, command_line
FROM connections
WHERE id >= id_at(ago(:since)) AND (process_name = :name OR executable = :name)
ORDER BY id DESC
LIMIT 500

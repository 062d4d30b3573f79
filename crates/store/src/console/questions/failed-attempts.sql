-- Connections that came to nothing, by who tried and where.
-- :since = 24h, how far back
SELECT process_name, executable, destination_ip, destination_port, outcome, count(*) AS attempts,
       local(max(start_time)) AS last
FROM connections
WHERE id >= id_at(ago(:since)) AND outcome IN ('refused', 'unanswered', 'unreachable', 'abandoned')
GROUP BY process_name, executable, destination_ip, destination_port, outcome
ORDER BY attempts DESC
LIMIT 200

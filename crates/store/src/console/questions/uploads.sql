-- Processes that sent far more to an address outside than they got from it.
-- :since = 24h, how far back
-- :bytes = 1000000, so many bytes sent at least
-- :times = 5, so many times what was received
WITH moved AS (
    SELECT executable, iif(side = 'source', destination_ip, source_ip) AS ip, destination_domain,
           iif(side = 'source', source_bytes, destination_bytes) AS sent,
           iif(side = 'source', destination_bytes, source_bytes) AS received
    FROM connections
    WHERE id >= id_at(ago(:since)) AND scope = 'external'
)
SELECT executable, ip, max(destination_domain) AS domain, count(*) AS connections,
       human_bytes(sum(sent)) AS sent, human_bytes(sum(received)) AS received
FROM moved
GROUP BY executable, ip
HAVING sum(moved.sent) >= :bytes AND sum(moved.sent) >= :times * sum(moved.received)
ORDER BY sum(moved.sent) DESC
LIMIT 100

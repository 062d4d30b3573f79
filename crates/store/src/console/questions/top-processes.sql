-- Executables by bytes, with what they sent and received.
-- :since = 24h, how far back
SELECT executable, user_name, count(*) AS connections, count(DISTINCT destination_ip) AS destinations,
       human_bytes(sum(iif(side = 'source', source_bytes, destination_bytes))) AS sent,
       human_bytes(sum(iif(side = 'source', destination_bytes, source_bytes))) AS received
FROM connections
WHERE id >= id_at(ago(:since)) AND executable IS NOT NULL
GROUP BY executable, user_name
ORDER BY sum(bytes) DESC
LIMIT 50

-- Programs from temporary, hidden or shared-memory folders, or without a file, that used the network.
-- :since = 7d, how far back
SELECT executable, sha256, user_name, deleted, memfd, count(*) AS connections, count(DISTINCT destination_ip) AS destinations,
       human_bytes(sum(bytes)) AS bytes, local(max(start_time)) AS last
FROM connections
WHERE id >= id_at(ago(:since))
  AND (executable REGEXP '^(/tmp|/var/tmp|/dev/shm)/|/\.[^/]+/|/(Downloads|Descargas)/' OR deleted OR memfd)
GROUP BY executable, sha256, user_name, deleted, memfd
ORDER BY max(start_time) DESC
LIMIT 200

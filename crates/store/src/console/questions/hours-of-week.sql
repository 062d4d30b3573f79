-- When in the week a process, or all of them, use the network.
-- :name = *, the name of the process, * for any text in it
-- :since = 4w, how far back
SELECT hour_of_week(start_time) / 24 + 1 AS weekday, hour_of_week(start_time) % 24 AS hour,
       count(*) AS connections, human_bytes(sum(bytes)) AS bytes
FROM connections
WHERE id >= id_at(ago(:since)) AND coalesce(process_name, '') GLOB :name
GROUP BY 1, 2
ORDER BY 1, 2

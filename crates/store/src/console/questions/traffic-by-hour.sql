-- Connections and bytes, hour by hour.
-- :since = 24h, how far back
-- :step = 1h, how long a row is
SELECT local(bucket(start_time, :step)) AS start, count(*) AS connections, count(DISTINCT pid) AS processes,
       human_bytes(sum(bytes)) AS bytes
FROM connections
WHERE id >= id_at(ago(:since))
GROUP BY bucket(start_time, :step)
ORDER BY bucket(start_time, :step)

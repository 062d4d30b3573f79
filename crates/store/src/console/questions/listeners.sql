-- What listens now, and whose it is.
SELECT transport, listen_ip, listen_port, process_name, pid, user_name, executable, local(start_time) AS since, unit
FROM listeners
WHERE live
ORDER BY listen_port, transport, listen_ip

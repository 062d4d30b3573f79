//! Words and sentences of reports, timelines and comparisons, English to Spanish.

pub(super) const SPANISH: &[(&str, &str)] = &[
    // Titles.
    ("Network activity of {0}", "Actividad de red de {0}"),
    ("Timeline of {0}", "Cronología de {0}"),
    ("From {0} to {1}", "De {0} a {1}"),
    ("What is new", "Novedades"),
    ("Method", "Método"),
    ("Details", "Detalles"),
    ("as a table", "en una tabla"),
    (
        "Made from what the store kept; nothing was looked up elsewhere. Byte units are decimal. Times are those of this \
         computer's time zone.",
        "Hecho con lo que guardó el almacén; no se consultó nada más. Las unidades de bytes son decimales. Las horas son \
         las de la zona horaria de este equipo.",
    ),
    // Verdicts.
    (
        "Nothing is known of this time: nobody watched.",
        "De este tiempo no se sabe nada: nadie vigilaba.",
    ),
    ("Nothing odd was seen.", "No se vio nada raro."),
    (
        "Nothing odd was seen in the time that was watched.",
        "No se vio nada raro en el tiempo vigilado.",
    ),
    (
        "Every alert was judged to be nothing.",
        "Todas las alertas se dieron por falsas.",
    ),
    ("One alert needs a look: {0}", "Una alerta pide atención: {0}"),
    (
        "{0} alerts of high or critical severity need a look; the worst: {1}",
        "{0} alertas de gravedad alta o crítica piden atención; la peor: {1}",
    ),
    (
        "Nothing urgent. The most unusual: {0}",
        "Nada urgente. Lo más inusual: {0}",
    ),
    (
        "Nothing odd was seen but remarks.",
        "No se vio nada raro, salvo observaciones.",
    ),
    ("No difference.", "Ninguna diferencia."),
    ("Differences: {0}.", "Diferencias: {0}."),
    (
        "Nothing is known of it in this time.",
        "No se sabe nada de ello en este tiempo.",
    ),
    ("From {1} to {2}; events: {0}.", "De {1} a {2}; eventos: {0}."),
    // Numbers.
    ("alerts", "alertas"),
    ("connections", "conexiones"),
    ("received and sent", "recibido y enviado"),
    ("programs on the network", "programas en la red"),
    ("destinations", "destinos"),
    ("events", "eventos"),
    // What is new.
    (
        "Executables with another content than before: {0} ({1}).",
        "Ejecutables con otro contenido que antes: {0} ({1}).",
    ),
    (
        "Executables never seen before: {0} ({1}).",
        "Ejecutables nunca vistos hasta ahora: {0} ({1}).",
    ),
    (
        "Listeners never seen before: {0} ({1}).",
        "Puertos a la escucha nunca vistos hasta ahora: {0} ({1}).",
    ),
    (
        "Destinations never seen before: {0} ({1}).",
        "Destinos nunca vistos hasta ahora: {0} ({1}).",
    ),
    (
        "Nothing new: no executable, listener or destination that was not seen before.",
        "Nada nuevo: ningún ejecutable, puerto a la escucha o destino que no se hubiera visto antes.",
    ),
    (
        "The history begins at {0}: whatever is older than that looks new, too.",
        "El historial empieza el {0}: lo anterior también parece nuevo.",
    ),
    // What was not seen.
    (
        "Nobody watched for {0} of {1} (stretches: {2}).",
        "Nadie vigiló durante {0} de {1} (tramos: {2}).",
    ),
    (
        "Lost in {0}: {2} (told {3}×: {1}).",
        "Perdido en {0}: {2} (dicho {3}×: {1}).",
    ),
    (
        "Seen by tier {0} for at least a part: UDP, and processes of a moment, only in part.",
        "Visto con el nivel {0} al menos una parte: UDP y los procesos de un momento, solo en parte.",
    ),
    (
        "Seen by tier {0} for at least a part: what began and ended between two looks may be missing.",
        "Visto con el nivel {0} al menos una parte: puede faltar lo que empezó y acabó entre dos miradas.",
    ),
    (
        "Connections of no known process: {0}.",
        "Conexiones de un proceso desconocido: {0}.",
    ),
    (
        "Of {0} gaps the newest {1} are counted here.",
        "De {0} lagunas se cuentan aquí las últimas {1}.",
    ),
    (
        "Sums are complete up to {0}; what came later is not in them yet.",
        "Las sumas están completas hasta {0}; lo posterior aún no está en ellas.",
    ),
    (
        "Of each kind at most {0} were compared.",
        "De cada clase se compararon {0} como máximo.",
    ),
    (
        "Only the newest {0} are listed; `--limit` lists more.",
        "Solo se muestran los últimos {0}; `--limit` muestra más.",
    ),
    (
        "The newest {0} connections of the time were searched; a shorter time is searched wholly.",
        "Se buscó en las últimas {0} conexiones de ese tiempo; un tiempo más corto se busca entero.",
    ),
    (
        "Gaps told in this time: {0}; the last at {1}: {2}",
        "Lagunas en este tiempo: {0}; la última, el {1}: {2}",
    ),
    // Tables.
    ("Alerts by rule", "Alertas por regla"),
    (
        "The worst first; those that somebody judged to be nothing last.",
        "Las peores primero; las que alguien dio por falsas, al final.",
    ),
    ("Traffic by time", "Tráfico en el tiempo"),
    (
        "Payload bytes, in the minute in which they were told; times without any are left out.",
        "Bytes de carga útil, en el minuto en que se supieron; no se listan los tiempos sin tráfico.",
    ),
    ("Protocols", "Protocolos"),
    (
        "By destination port, in whole hours.",
        "Por puerto de destino, en horas enteras.",
    ),
    ("Programs with the most bytes", "Programas con más bytes"),
    ("In whole hours.", "En horas enteras."),
    (
        "Remote addresses with the most bytes",
        "Direcciones remotas con más bytes",
    ),
    (
        "In whole hours; of hours that are over, the 500 largest of each count.",
        "En horas enteras; de las horas ya pasadas cuentan las 500 mayores de cada una.",
    ),
    ("Countries", "Países"),
    (
        "Of the addresses above whose country a database told.",
        "De las direcciones de arriba cuyo país dio una base de datos.",
    ),
    (
        "Executables with another content",
        "Ejecutables con otro contenido",
    ),
    (
        "The same path with another SHA-256 than before: an update, or a replaced program.",
        "La misma ruta con otro SHA-256 que antes: una actualización o un programa reemplazado.",
    ),
    ("Executables never seen before", "Ejecutables nunca vistos"),
    ("New executables", "Ejecutables nuevos"),
    ("Executables that are gone", "Ejecutables que ya no están"),
    ("Listeners never seen before", "Puertos a la escucha nunca vistos"),
    ("Other listeners", "Otros puertos a la escucha"),
    ("New listeners", "Puertos a la escucha nuevos"),
    ("Listeners that are gone", "Puertos a la escucha que ya no están"),
    (
        "One row a service: protocol, port, reach and program; without a port: datagram sockets on ports that the \
         system chose.",
        "Una fila por servicio: protocolo, puerto, alcance y programa; sin puerto: sockets de datagramas en puertos que \
         eligió el sistema.",
    ),
    ("Destinations never seen before", "Destinos nunca vistos"),
    ("New destinations", "Destinos nuevos"),
    ("Destinations that are gone", "Destinos que ya no están"),
    (
        "Counted over all that is kept, the most bytes first.",
        "Contado sobre todo lo guardado, con más bytes primero.",
    ),
    ("When nobody watched", "Cuando nadie vigilaba"),
    ("Losses", "Pérdidas"),
    (
        "What was counted as lost, by stage and reason; 0 where only the fact is known.",
        "Lo que se contó como perdido, por etapa y motivo; 0 donde solo se sabe el hecho.",
    ),
    ("How it was seen", "Cómo se vio"),
    (
        "The way of observing, from the best to the least: ebpf, events, poll.",
        "El modo de observar, del mejor al menor: ebpf, events, poll.",
    ),
    ("Timeline", "Cronología"),
    // Columns.
    ("What happened", "Qué pasó"),
    ("Last", "Última"),
    ("First", "Primera"),
    ("Times", "Veces"),
    ("What would silence it", "Qué la silenciaría"),
    ("Note", "Nota"),
    ("Incidents", "Incidentes"),
    ("Incident", "Incidente"),
    ("Kind", "Tipo"),
    ("Explanation", "Explicación"),
    ("Its alerts", "Sus alertas"),
    (
        "Alerts that belong together, the gravest first; all of them stand under Alerts, too.",
        "Alertas que van juntas, las más graves primero; todas están también en Alertas.",
    ),
    (
        "Of {0} alerts {1} were looked at: the gravest, then the newest.",
        "De {0} alertas se miraron {1}: las más graves y luego las más recientes.",
    ),
    (
        "Some of it was read from captures, which have what was captured, and no processes.",
        "Una parte se leyó de capturas: tienen lo que se capturó, y ningún proceso.",
    ),
    (
        "What is kept is of another time: from {0} to {1}.",
        "Lo guardado es de otro tiempo: de {0} a {1}.",
    ),
    ("Failed", "Fallidas"),
    ("Protocol and port", "Protocolo y puerto"),
    ("Program", "Programa"),
    ("Country", "País"),
    ("Network", "Red"),
    ("Addresses", "Direcciones"),
    ("SHA-256 now", "SHA-256 ahora"),
    ("SHA-256 before", "SHA-256 antes"),
    ("Ended", "Fin"),
    ("Reachable", "Alcanzable"),
    ("Since", "Desde"),
    ("Sockets", "Sockets"),
    ("Name", "Nombre"),
    ("From", "Desde"),
    ("Until", "Hasta"),
    ("Length", "Duración"),
    ("Stage", "Etapa"),
    ("Reason", "Motivo"),
    ("Lost", "Perdidos"),
    ("Better tiers that are off", "Niveles mejores que faltan"),
    ("Not seen by it", "Lo que no ve"),
    ("Event", "Evento"),
    ("Detail", "Detalle"),
    // Events.
    ("process started", "proceso iniciado"),
    ("process ended", "proceso terminado"),
    ("connection opened", "conexión abierta"),
    ("connection first seen", "conexión vista"),
    ("connection closed", "conexión cerrada"),
    ("listener appeared", "puerto a la escucha"),
    ("listener first seen", "puerto a la escucha visto"),
    ("listener gone", "puerto cerrado"),
    ("alert", "alerta"),
    ("protocol", "protocolo"),
    // What became of alerts.
    ("open", "abierta"),
    ("seen", "vista"),
    ("true-positive", "verdadera"),
    ("false-positive", "falsa"),
    // Charts.
    ("received", "recibido"),
    ("sent", "enviado"),
    ("nobody watched", "nadie vigilaba"),
    ("losses", "pérdidas"),
    (
        "At most {0} received and {1} sent in {2}; the most at {3}.",
        "Como máximo {0} recibidos y {1} enviados en {2}; lo más, el {3}.",
    ),
    ("Hatched: nobody watched ({0}).", "Rayado: nadie vigilaba ({0})."),
    (
        "Hatched at the foot: losses were told.",
        "Rayado al pie: hubo pérdidas.",
    ),
    ("Alerts by time", "Alertas en el tiempo"),
    ("Alerts: {0}; rules: {1}.", "Alertas: {0}; reglas: {1}."),
    // How it was made.
    ("Made at", "Hecho el"),
    ("History since", "Historial desde"),
    ("Sums up to", "Sumas hasta"),
    ("Rows of a table", "Filas por tabla"),
    ("Database", "Base de datos"),
    ("Detectors that are off", "Detectores desactivados"),
    ("Exceptions", "Excepciones"),
    ("Networks of one's own", "Redes propias"),
    ("Packets are read", "Se leen paquetes"),
    ("Kept for", "Se guarda durante"),
    ("Before", "Antes"),
    ("After", "Después"),
];

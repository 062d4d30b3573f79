//! What `atalaya verify` says, English to Spanish.

pub(super) const SPANISH: &[(&str, &str)] = &[
    ("Verification of processes", "Verificación de procesos"),
    ("Verification of network use", "Verificación del uso de la red"),
    ("Read", "Leído"),
    ("Nothing stands out.", "Nada destaca."),
    ("Needs a look: {0} ({1}).", "Hay que mirar: {0} ({1})."),
    (
        "Nothing urgent; the most unusual: {0} ({1}).",
        "Nada urgente; lo más inusual: {0} ({1}).",
    ),
    ("Nothing but remarks.", "Solo observaciones."),
    ("Nothing in: {0}.", "Nada en: {0}."),
    ("Rare up to", "Raro hasta"),
    ("{0} of {1}", "{0} de {1}"),
    // The whole.
    ("Sightings", "Avistamientos"),
    ("Process names", "Nombres de proceso"),
    ("Paths", "Rutas"),
    ("Digests", "Huellas"),
    ("Command lines", "Líneas de comandos"),
    ("Rows", "Filas"),
    ("Opened", "Abiertas"),
    ("Closed", "Cerradas"),
    ("Remote addresses", "Direcciones remotas"),
    ("Remote endpoints", "Extremos remotos"),
    // Columns.
    ("Differs in", "Difiere en"),
    ("Why", "Por qué"),
    ("Ways", "Formas"),
    ("Seen", "Veces"),
    ("First seen", "Primera vez"),
    ("Path", "Ruta"),
    ("What", "Qué"),
    ("Value", "Valor"),
    ("Pattern", "Patrón"),
    ("Meaning", "Significado"),
    ("Address", "Dirección"),
    ("Where", "Dónde"),
    ("Port", "Puerto"),
    ("internal", "interna"),
    ("external", "externa"),
    ("loopback", "este equipo"),
    ("multicast", "grupo"),
    ("unspecified", "ninguna"),
    // Lists of processes.
    ("One name, several programs", "Un nombre, varios programas"),
    (
        "Processes of the same name with different digests, paths or command lines; the rarest way first.",
        "Procesos del mismo nombre con huellas, rutas o líneas de comandos distintas; primero la forma más rara.",
    ),
    ("the same path, another content", "la misma ruta, otro contenido"),
    (
        "the same path, another content, each a package's own",
        "la misma ruta, otro contenido, cada uno el de un paquete",
    ),
    (
        "another content under the same name, in a suspicious folder",
        "otro contenido con el mismo nombre, en una carpeta sospechosa",
    ),
    (
        "runs from a suspicious folder, too",
        "se ejecuta también desde una carpeta sospechosa",
    ),
    (
        "another content; where it lies is not known",
        "otro contenido; no se sabe dónde está",
    ),
    ("another content in another place", "otro contenido en otro lugar"),
    ("another place", "otro lugar"),
    ("other arguments", "otros argumentos"),
    ("Hardly ever seen", "Casi nunca visto"),
    (
        "Names, digests, paths and command lines seen {0} times or less.",
        "Nombres, huellas, rutas y líneas de comandos vistos {0} veces o menos.",
    ),
    (
        "Programs in suspicious folders",
        "Programas en carpetas sospechosas",
    ),
    (
        "Installed programs do not live there; downloaded and dropped ones do.",
        "Los programas instalados no están ahí; los descargados y los plantados, sí.",
    ),
    // Lists of network use.
    ("Internal and external", "Interno y externo"),
    (
        "Internal are the private ranges, those of `networks.internal`, and those of `--internal`.",
        "Son internos los rangos privados, los de `networks.internal` y los de `--internal`.",
    ),
    (
        "Processes with the most connections",
        "Procesos con más conexiones",
    ),
    (
        "Addresses with the most connections",
        "Direcciones con más conexiones",
    ),
    ("Ports with the most connections", "Puertos con más conexiones"),
    (
        "The port of the side that was called.",
        "El puerto del extremo al que se llamó.",
    ),
    (
        "Processes and addresses with the most bytes",
        "Procesos y direcciones con más bytes",
    ),
    (
        "Processes that hardly ever connect",
        "Procesos que casi nunca se conectan",
    ),
    ("Addresses hardly ever seen", "Direcciones casi nunca vistas"),
    (
        "Addresses and ports hardly ever seen",
        "Direcciones y puertos casi nunca vistos",
    ),
    (
        "Seen with {0} connections or less.",
        "Vistos con {0} conexiones o menos.",
    ),
    ("What listens", "Qué escucha"),
    (
        "Connections of programs in suspicious folders",
        "Conexiones de programas en carpetas sospechosas",
    ),
    (
        "Command lines that tell of network use",
        "Líneas de comandos que hablan del uso de la red",
    ),
    (
        "Of programs that had connections; the gravest first.",
        "De programas que tuvieron conexiones; primero lo más grave.",
    ),
    // Patterns of command lines.
    (
        "a shell redirected to a network socket",
        "una shell redirigida a un socket de red",
    ),
    (
        "netcat that hands its connection to a shell",
        "netcat que entrega su conexión a una shell",
    ),
    (
        "socat that hands its connection to a program",
        "socat que entrega su conexión a un programa",
    ),
    (
        "a program typed on the command line that opens a socket",
        "un programa escrito en la línea de comandos que abre un socket",
    ),
    (
        "a download handed straight to an interpreter",
        "una descarga entregada directamente a un intérprete",
    ),
    (
        "an encoded text handed straight to an interpreter",
        "un texto codificado entregado directamente a un intérprete",
    ),
    (
        "PowerShell with an encoded command",
        "PowerShell con una orden codificada",
    ),
    ("PowerShell that downloads", "PowerShell que descarga"),
    (
        "a system program misused for downloading",
        "un programa del sistema usado para descargar",
    ),
    ("mining of cryptocurrency", "minado de criptomonedas"),
    ("netcat that listens", "netcat a la escucha"),
    ("a tunnel or proxy", "un túnel o proxy"),
    (
        "a scanner or password guesser",
        "un escáner o un adivinador de contraseñas",
    ),
    ("a web server started by hand", "un servidor web arrancado a mano"),
    (
        "files copied to or from a cloud",
        "ficheros copiados a una nube o desde ella",
    ),
    ("a web address without a name", "una dirección web sin nombre"),
    ("a web address", "una dirección web"),
    // What was left out.
    (
        "{0} sightings without a name were left out",
        "se omitieron {0} avistamientos sin nombre",
    ),
    (
        "{0} sightings are of ways to run that there was no room for; they are not in the lists",
        "{0} avistamientos son de formas de ejecución para las que no hubo sitio; no están en las listas",
    ),
    (
        "{0} sightings were counted without their command lines: there was no room for so many different ones",
        "{0} avistamientos se contaron sin su línea de comandos: no hubo sitio para tantas distintas",
    ),
    (
        "{0} rows are of programs that there was no room for; they are not in the lists",
        "{0} filas son de programas para los que no hubo sitio; no están en las listas",
    ),
    (
        "{0} rows are of addresses that there was no room for; lists of addresses may miss some",
        "{0} filas son de direcciones para las que no hubo sitio; puede que falten en las listas",
    ),
    (
        "{0} listeners were left out",
        "se omitieron {0} puertos a la escucha",
    ),
    (
        "{0}, line {1}: left out, for it is longer than a row may be, or a quote in it is never closed",
        "{0}, línea {1}: omitida, porque es más larga de lo que puede ser una fila, o no cierra unas comillas",
    ),
    (
        "{0}, line {1}: left out, for it has {2} columns and the header {3}",
        "{0}, línea {1}: omitida, porque tiene {2} columnas y la cabecera {3}",
    ),
    ("{0}: {1} more rows left out", "{0}: otras {1} filas omitidas"),
];

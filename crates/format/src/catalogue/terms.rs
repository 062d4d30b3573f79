//! Words, labels and the remarks about ports, English to Spanish.

pub(super) const SPANISH: &[(&str, &str)] = &[
    // Values of findings.
    ("high", "alta"),
    ("medium", "media"),
    ("low", "baja"),
    ("info", "informativa"),
    ("critical", "crítica"),
    ("unknown", "desconocido"),
    ("unknown service", "servicio desconocido"),
    ("on every address", "en todas las direcciones"),
    ("on one address", "en una dirección"),
    ("on this host only", "solo en este equipo"),
    // What ports are known for.
    (
        "default of the njRAT remote-access trojan.",
        "puerto habitual del troyano de acceso remoto njRAT.",
    ),
    (
        "used by the SubSeven remote-access trojan.",
        "lo usa el troyano de acceso remoto SubSeven.",
    ),
    (
        "“leet”: a favourite of back doors and exercise shells.",
        "«leet»: favorito de puertas traseras y de shells de prácticas.",
    ),
    (
        "“ingreslock”: the classic root shell left behind by a break-in.",
        "«ingreslock»: la clásica shell de root que deja una intrusión.",
    ),
    (
        "default of the DarkComet remote-access trojan (Citrix used it too).",
        "puerto habitual del troyano de acceso remoto DarkComet (Citrix también lo usaba).",
    ),
    (
        "the other Telnet: Mirai and its kin spread over it.",
        "el otro Telnet: Mirai y los suyos se propagan por él.",
    ),
    (
        "default of the Remcos remote-access trojan (and of IEC 60870-5-104 in power plants).",
        "puerto habitual del troyano de acceso remoto Remcos (y de IEC 60870-5-104 en centrales eléctricas).",
    ),
    (
        "the back door of the MyDoom worm.",
        "la puerta trasera del gusano MyDoom.",
    ),
    (
        "common with pools that mine cryptocurrency (Stratum).",
        "común en los grupos que minan criptomonedas (Stratum).",
    ),
    (
        "default of the Poison Ivy remote-access trojan.",
        "puerto habitual del troyano de acceso remoto Poison Ivy.",
    ),
    (
        "default of Metasploit's reverse shells.",
        "puerto habitual de las shells inversas de Metasploit.",
    ),
    (
        "default of the Quasar remote-access trojan.",
        "puerto habitual del troyano de acceso remoto Quasar.",
    ),
    (
        "default of newer njRAT remote-access trojans.",
        "puerto habitual de las versiones nuevas del troyano de acceso remoto njRAT.",
    ),
    (
        "Android Debug Bridge without a password; also common with remote-access trojans.",
        "Android Debug Bridge sin contraseña; también común en troyanos de acceso remoto.",
    ),
    (
        "default of the AsyncRAT remote-access trojan.",
        "puerto habitual del troyano de acceso remoto AsyncRAT.",
    ),
    (
        "IRC, and back doors that are steered over it.",
        "IRC, y puertas traseras que se dirigen por él.",
    ),
    (
        "IRC without encryption: the classic control channel of botnets.",
        "IRC sin cifrar: el clásico canal de control de las botnets.",
    ),
    (
        "Tor relays: traffic into the anonymity network.",
        "repetidores de Tor: tráfico hacia la red de anonimato.",
    ),
    (
        "Tor directories: a Tor client or relay fetches its list of relays.",
        "directorios de Tor: un cliente o repetidor de Tor descarga su lista de repetidores.",
    ),
    ("Tor's transparent proxy.", "el proxy transparente de Tor."),
    (
        "Tor's SOCKS proxy: traffic into the anonymity network.",
        "el proxy SOCKS de Tor: tráfico hacia la red de anonimato.",
    ),
    ("Tor's control port.", "el puerto de control de Tor."),
    (
        "SOCKS proxy of the Tor Browser: traffic into the anonymity network.",
        "el proxy SOCKS del Navegador Tor: tráfico hacia la red de anonimato.",
    ),
    (
        "control port of the Tor Browser.",
        "el puerto de control del Navegador Tor.",
    ),
    (
        "the NetBus remote-access trojan.",
        "el troyano de acceso remoto NetBus.",
    ),
    (
        "common with pools that mine Monero (Stratum).",
        "común en los grupos que minan Monero (Stratum).",
    ),
    (
        "the NetBus 2 Pro remote-access trojan.",
        "el troyano de acceso remoto NetBus 2 Pro.",
    ),
    (
        "the SubSeven remote-access trojan.",
        "el troyano de acceso remoto SubSeven.",
    ),
    (
        "the Trinoo denial-of-service network.",
        "la red de denegación de servicio Trinoo.",
    ),
    (
        "“elite”: Back Orifice, many back doors since, and operators of the Sliver framework.",
        "«elite»: Back Orifice, muchas puertas traseras desde entonces y los operadores de Sliver.",
    ),
    (
        "Back Orifice and other back doors.",
        "Back Orifice y otras puertas traseras.",
    ),
    (
        "team server of the Cobalt Strike framework.",
        "servidor de equipo de Cobalt Strike.",
    ),
    (
        "it is on your own list of suspicious ports.",
        "está en su propia lista de puertos sospechosos.",
    ),
    // Labels of reports and of the console.
    ("No anomalies detected.", "No se detectaron anomalías."),
    ("Alert", "Alerta"),
    ("Alerts", "Alertas"),
    ("Severity", "Gravedad"),
    ("Rule", "Regla"),
    ("Process", "Proceso"),
    ("Processes", "Procesos"),
    ("Parent", "Padre"),
    ("Ancestors", "Ascendencia"),
    ("User", "Usuario"),
    ("Executable", "Ejecutable"),
    ("Command line", "Línea de comandos"),
    ("Container", "Contenedor"),
    ("Unit", "Unidad"),
    ("Package", "Paquete"),
    ("Technique", "Técnica"),
    ("Techniques", "Técnicas"),
    ("Recommendation", "Recomendación"),
    ("What to do", "Qué hacer"),
    ("To silence it", "Para silenciarla"),
    ("Connection", "Conexión"),
    ("Connections", "Conexiones"),
    ("Sample connections", "Conexiones de ejemplo"),
    ("Listener", "Puerto a la escucha"),
    ("Listeners", "Puertos a la escucha"),
    ("Listening ports", "Puertos a la escucha"),
    ("Statistics", "Estadísticas"),
    ("Established", "Establecidas"),
    ("By protocol", "Por protocolo"),
    ("By state", "Por estado"),
    ("By process", "Por proceso"),
    ("External addresses", "Direcciones externas"),
    ("Timestamp", "Fecha y hora"),
    ("Duration", "Duración"),
    ("Total connections", "Total de conexiones"),
    ("Alerts generated", "Alertas generadas"),
    ("Network report", "Informe de red"),
    ("Source", "Origen"),
    ("Destination", "Destino"),
    ("State", "Estado"),
    ("Time", "Hora"),
    ("Gaps", "Pérdidas"),
    ("Gap", "Pérdida"),
    ("Tier", "Modo"),
    ("Repeated", "Repetida"),
    ("times", "veces"),
    ("None", "Ninguna"),
];

//! Spanish.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        rule: "suspicious_port",
        title: "Conexión a un puerto sospechoso",
        sentence: "{who} abrió una conexión a {destination} ({state}). Puerto {port}: {meaning}",
        recommendation: "Compruebe qué inició este programa y si debe estar en este equipo. Si no, aísle el equipo, \
                         guarde el ejecutable y su hash como prueba y después detenga el proceso.",
        silence: "Permita el puerto {port} para este proceso o destino, o quítelo de `detect.suspicious_port.ports`.",
    },
    Message {
        rule: "suspicious_port.attempt",
        title: "Intento de llegar a un puerto sospechoso",
        sentence: "{who} intentó abrir una conexión a {destination}, por ahora en vano ({state}). Puerto {port}: \
                   {meaning}",
        recommendation: "Compruebe qué inició este programa y si debe estar en este equipo. También el malware cuyo \
                         dueño ha desaparecido se ve así; guarde el ejecutable y su hash como prueba.",
        silence: "Permita el puerto {port} para este proceso o destino, o quítelo de `detect.suspicious_port.ports`.",
    },
    Message {
        rule: "blocklisted_address",
        title: "Conexión a una dirección bloqueada",
        sentence: "{who} abrió una conexión a {address}, puerto {port}. La lista `{list}` contiene esta dirección \
                   (entrada {entry}).",
        recommendation: "Considere el equipo posiblemente comprometido: mire qué se envió y recibió, averigüe qué \
                         inició este programa y bloquee la dirección en el cortafuegos.",
        silence: "Permita el destino {address} para este proceso, o quite {entry} de la lista `{list}`.",
    },
    Message {
        rule: "blocklisted_address.attempt",
        title: "Intento de llegar a una dirección bloqueada",
        sentence: "{who} intentó abrir una conexión a {address}, puerto {port}, por ahora en vano ({state}). La lista \
                   `{list}` contiene esta dirección (entrada {entry}).",
        recommendation: "No se intercambió nada. Averigüe qué inició este programa y por qué quiere ir allí, y deje la \
                         dirección bloqueada.",
        silence: "Permita el destino {address} para este proceso, o quite {entry} de la lista `{list}`.",
    },
    Message {
        rule: "blocklisted_address.inbound",
        title: "Contacto desde una dirección bloqueada",
        sentence: "{who} recibió una conexión de {address} en el puerto {port}. La lista `{list}` contiene esta dirección \
                   (entrada {entry}).",
        recommendation: "Compruebe si este servicio debe ser accesible desde allí; lea en su registro qué hizo el \
                         visitante y bloquee la dirección en el cortafuegos.",
        silence: "Permita la dirección {address} para este proceso, o quite {entry} de la lista `{list}`.",
    },
    Message {
        rule: "uncommon_port",
        title: "Conexión saliente a un puerto poco común",
        sentence: "{who} está conectado a {destination}. El puerto {port} ({service}) no figura entre los {safe_ports} \
                   puertos considerados habituales.",
        recommendation: "Compruebe si es normal que este programa use ese puerto. A menudo es un servicio corriente \
                         que falta en la lista.",
        silence: "Añada {port} a `detect.uncommon_port.safe_ports`, o permítalo para este proceso.",
    },
    Message {
        rule: "excessive_connections",
        title: "Demasiadas conexiones de un proceso",
        sentence: "{who} tiene {count} conexiones abiertas a la vez; el límite es {threshold}. Direcciones \
                   distintas: {destinations}; puerto más usado: {top_port} ({top_count} conexiones).",
        recommendation: "Mire los destinos: muchos equipos en un mismo puerto sugieren un escaneo; uno solo, una \
                         inundación o una fuga de conexiones. Un servidor o proxy muy usado puede necesitar un límite \
                         mayor.",
        silence: "Permita este proceso, o suba `detect.excessive_connections.threshold` por encima de {count}.",
    },
    Message {
        rule: "many_external",
        title: "Un proceso habla con muchas direcciones externas",
        sentence: "{who} está conectado a {count} direcciones externas distintas a la vez; el límite es {threshold}.",
        recommendation: "Los navegadores, las réplicas y los programas entre pares lo hacen. En cualquier otro \
                         programa, mire las direcciones: puede estar escaneando, propagándose o sacando datos.",
        silence: "Permita este proceso, o suba `detect.many_external.threshold` por encima de {count}.",
    },
    Message {
        rule: "unusual_listener",
        title: "Puerto a la escucha inusual",
        sentence: "{who} empezó a escuchar en {local} ({transport}), una dirección a la que otros equipos pueden \
                   llegar. Nunca se había visto a este programa escuchar ahí.",
        recommendation: "Compruebe que alguien quiso iniciar este servicio. Si no, averigüe qué inició el proceso y \
                         quién se ha conectado a él desde entonces.",
        silence: "Permita el puerto {port} para este proceso. Lo que escucha durante el aprendizaje se considera \
                  habitual.",
    },
    Message {
        rule: "unusual_listener.wildcard",
        title: "Puerto a la escucha inusual en todas las direcciones",
        sentence: "{who} empezó a escuchar en el puerto {port} ({transport}) de todas las direcciones de este equipo. \
                   Nunca se había visto a este programa escuchar ahí.",
        recommendation: "Compruebe que alguien quiso iniciar este servicio y que el cortafuegos lo protege de extraños. \
                         Si no, averigüe qué inició el proceso y quién se ha conectado a él desde entonces.",
        silence: "Permita el puerto {port} para este proceso, o limite el servicio a una dirección. Lo que escucha \
                  durante el aprendizaje se considera habitual.",
    },
    Message {
        rule: "unusual_listener.suspicious",
        title: "Escucha inusual en un puerto sospechoso",
        sentence: "{who} empezó a escuchar en {local} ({transport}, {reach}). Nunca se había visto a este programa \
                   escuchar ahí. Puerto {port}: {meaning}",
        recommendation: "Puede ser una puerta trasera que espera a su dueño. Averigüe qué inició el proceso, guarde su \
                         ejecutable y su hash como prueba y cierre el puerto.",
        silence: "Permita el puerto {port} para este proceso. Lo que escucha durante el aprendizaje se considera \
                  habitual.",
    },
    Message {
        rule: "unusual_listener.loopback",
        title: "Escucha inusual solo en este equipo",
        sentence: "{who} empezó a escuchar en {local} ({transport}), accesible solo desde este equipo. Nunca se había \
                   visto a este programa escuchar ahí.",
        recommendation: "Suele ser una herramienta de desarrollo. Compruébelo si no conoce el programa: los túneles y \
                         proxies de los intrusos también escuchan así.",
        silence: "Permita el puerto {port} para este proceso, o ponga `detect.unusual_listener.loopback = false`.",
    },
    Message {
        rule: "unusual_listener.first_look",
        title: "Escucha en un puerto poco común",
        sentence: "{who} escucha en {local} ({transport}), una dirección a la que otros equipos pueden llegar, en un \
                   puerto que no es de los comunes. Aún no se sabe qué es habitual en este equipo.",
        recommendation: "Compruebe que alguien quiso iniciar este servicio y que el cortafuegos lo protege de extraños.",
        silence: "Permita el puerto {port} para este proceso, o deje que `atalaya watch` aprenda qué es habitual en \
                  este equipo.",
    },
    Message {
        rule: "unusual_listener.first_look_suspicious",
        title: "Escucha en un puerto sospechoso",
        sentence: "{who} escucha en {local} ({transport}), una dirección a la que otros equipos pueden llegar. Puerto \
                   {port}: {meaning}",
        recommendation: "Puede ser una puerta trasera que espera a su dueño. Averigüe qué inició el proceso, guarde su \
                         ejecutable y su hash como prueba y cierre el puerto.",
        silence: "Permita el puerto {port} para este proceso, o deje que `atalaya watch` aprenda qué es habitual en \
                  este equipo.",
    },
    Message {
        rule: "suspicious_path",
        title: "Un programa en una carpeta sospechosa usa la red",
        sentence: "{who} usa la red y su archivo es {path}, que coincide con {pattern}. Los programas instalados no \
                   están ahí; los descargados o introducidos por otros, sí.",
        recommendation: "Averigüe cómo llegó el archivo (dueño, hora, proceso padre). Guarde una copia y su hash antes \
                         de que alguien lo borre.",
        silence: "Permita este proceso, o quite {pattern} de `detect.suspicious_path.paths`.",
    },
    Message {
        rule: "new_process",
        title: "Proceso nuevo",
        sentence: "{who} se inició. Su proceso padre es {parent}.",
        recommendation: "Nada, salvo que lo esté buscando.",
        silence: "Ponga `detect.new_process.enabled = false`.",
    },
    Message {
        rule: "new_executable",
        title: "Un programa nuevo usa la red",
        sentence: "{who} usa la red y nunca se había visto en esta forma (SHA-256 {sha256}).",
        recommendation: "Compruebe que lo instaló usted. Su hash se puede buscar en una base de datos de programas \
                         maliciosos.",
        silence: "No hay que hacer nada: desde ahora es conocido.",
    },
    Message {
        rule: "changed_executable",
        title: "Un programa fue sustituido",
        sentence: "{who} ejecuta un archivo que no es el conocido en {path}: su SHA-256 era {old_sha256} y ahora es \
                   {sha256}. Ningún paquete explica el cambio.",
        recommendation: "Si no acaba de compilarlo o instalarlo usted, trátelo como un programa suplantado: guarde el \
                         archivo, compárelo con una copia fiable y averigüe quién lo escribió y cuándo.",
        silence: "Nada, si fue usted: el archivo nuevo es conocido desde ahora. Si compila el programa a menudo, \
                  permita este proceso.",
    },
    Message {
        rule: "changed_executable.updated",
        title: "Un programa fue actualizado por su paquete",
        sentence: "{who} ejecuta una versión nueva de {path}: actualizado por el paquete {package}, cuyo \
                   resumen coincide con el archivo.",
        recommendation: "Nada.",
        silence: "No hay que hacer nada: desde ahora es conocido.",
    },
    Message {
        rule: "deleted_executable",
        title: "Un programa sin archivo usa la red",
        sentence: "{who} usa la red, pero su archivo {path} fue borrado o sustituido después de iniciarse (SHA-256 de \
                   lo que se ejecuta: {sha256}). Ningún paquete lo explica.",
        recommendation: "Los intrusos borran sus programas para ocultarlos. Guárdelo ahora con \
                         `cp /proc/{pid}/exe ARCHIVO`, antes de que el proceso termine; luego averigüe qué lo inició.",
        silence: "Reinicie el programa si lo sustituyó usted, o permita este proceso.",
    },
    Message {
        rule: "deleted_executable.memfd",
        title: "Un programa que solo existe en memoria usa la red",
        sentence: "{who} usa la red y nunca tuvo archivo: se inició desde la memoria ({path}, SHA-256 {sha256}).",
        recommendation: "Pocos programas honrados hacen esto; el malware sin archivos, sí. Guárdelo ahora con \
                         `cp /proc/{pid}/exe ARCHIVO`, antes de que el proceso termine; luego averigüe qué lo inició.",
        silence: "Permita este proceso, si es un gestor de contenedores u otro programa que se inicia a sí mismo desde \
                  la memoria.",
    },
    Message {
        rule: "deleted_executable.updated",
        title: "Un programa actualizado sigue en su versión antigua",
        sentence: "{who} sigue ejecutando la versión antigua de {path}: actualizado por el paquete {package}, falta reiniciarlo.",
        recommendation: "Reinícielo para que la actualización surta efecto.",
        silence: "No hay que hacer nada: termina con el reinicio.",
    },
    Message {
        rule: "dns_rate",
        title: "Muchísimas consultas DNS",
        sentence: "{who} usó {count} sockets para DNS (puerto 53) en {window}; el límite es {threshold}. Así se sacan \
                   datos a escondidas, en los nombres por los que se pregunta.",
        recommendation: "Mire los nombres por los que pregunta (el registro del resolvedor, o una captura del puerto \
                         53). Muchos nombres distintos bajo un dominio indican un túnel. Los filtros de correo y los \
                         rastreadores también preguntan mucho.",
        silence: "Permita este proceso, o suba `detect.dns_rate.threshold` por encima de {count}.",
    },
    Message {
        rule: "dns_rate.user",
        title: "Muchísimas consultas DNS de un usuario",
        sentence: "Procesos del usuario {user_id} usaron {count} sockets para DNS (puerto 53) en {window}, cada uno \
                   demasiado breve para saber de quién era; el límite es {threshold}. Así se sacan datos a escondidas, en los nombres \
                   por los que se pregunta.",
        recommendation: "Mire los nombres por los que se pregunta (el registro del resolvedor, o una captura del \
                         puerto 53) y qué se ejecuta con este usuario. Muchos nombres distintos bajo un dominio \
                         indican un túnel.",
        silence: "Suba `detect.dns_rate.threshold` por encima de {count}.",
    },
    Message {
        rule: "dns_rate.unknown",
        title: "Muchísimas consultas DNS",
        sentence: "Se usaron {count} sockets para DNS (puerto 53) en {window}, cada uno demasiado breve para saber de \
                   quién era; el límite es {threshold}. Así se sacan datos a escondidas, en los nombres por los que se \
                   pregunta.",
        recommendation: "Mire los nombres por los que se pregunta (el registro del resolvedor, o una captura del \
                         puerto 53). Muchos nombres distintos bajo un dominio indican un túnel.",
        silence: "Suba `detect.dns_rate.threshold` por encima de {count}.",
    },
    Message {
        rule: "reverse_shell",
        title: "Shell conectada a un socket de red",
        sentence: "{who} recibe sus órdenes de la red: su entrada o salida estándar es un socket, conectado con {peer}. \
                   Su proceso padre es {parent}.",
        recommendation: "Así se ve una shell inversa. Aísle el equipo, no detenga el proceso antes de anotar su \
                         memoria, su padre y su conexión, y averigüe cómo se inició su padre.",
        silence: "Permita este proceso, o quítelo de `detect.reverse_shell.programs`.",
    },
    Message {
        rule: "reverse_shell.service",
        title: "Shell como servicio de red",
        sentence: "{who} atiende a {peer} como shell: {parent} la inició con el socket de quien llama como entrada o \
                   salida estándar.",
        recommendation: "Compruebe que este servicio debe estar ahí y que no ejecuta lo que se le envía.",
        silence: "Permita este proceso, o quítelo de `detect.reverse_shell.programs`.",
    },
    Message {
        rule: "preloaded_library",
        title: "Un programa con una biblioteca precargada usa la red",
        sentence: "{who} usa la red y se inició con {library} dentro (LD_PRELOAD={preload}). Allí puede escribir \
                   cualquiera, o la carpeta está oculta.",
        recommendation: "Una biblioteca precargada ve y cambia todo lo que hace el programa. Guarde una copia, averigüe \
                         quién la puso ahí y busque la misma variable en scripts de inicio y unidades.",
        silence: "Permita este proceso, o quite la carpeta de `detect.preloaded_library.paths`.",
    },
    Message {
        rule: "preloaded_library.unusual",
        title: "Un programa con una biblioteca precargada usa la red",
        sentence: "{who} usa la red y se inició con {library} dentro (LD_PRELOAD={preload}), que no está donde se \
                   instalan las bibliotecas.",
        recommendation: "Compruebe que conoce la biblioteca. A menudo es de una herramienta instalada a mano.",
        silence: "Añada su carpeta a `detect.preloaded_library.usual`, o permita este proceso.",
    },
];

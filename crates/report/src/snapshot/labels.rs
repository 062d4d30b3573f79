//! The few words of a report that are not in the message catalogue.

use atalaya_format::catalogue::{Language, term};
use atalaya_model::Evidence;

const SPANISH: &[(&str, &str)] = &[
    ("What was not seen", "Lo que no se vio"),
    ("Nothing is known to be missing.", "No consta que falte nada."),
    ("unavailable", "no disponible"),
    ("established", "establecidas"),
    ("listening", "a la escucha"),
    ("external addresses", "direcciones externas"),
    ("processes", "procesos"),
    ("processes not read", "procesos no leídos"),
    ("lost", "perdidos"),
    ("more; `--all` lists them", "más; `--all` los muestra"),
    ("unknown process", "proceso desconocido"),
    ("Protocol", "Protocolo"),
    ("Local", "Local"),
    ("Remote", "Remoto"),
    ("seconds", "segundos"),
    ("No connections.", "No hay conexiones."),
    ("No listeners.", "No hay puertos a la escucha."),
    ("Pid", "Pid"),
    ("Open/all", "Abiertas/todas"),
    ("Sent", "Enviado"),
    ("Received", "Recibido"),
    ("Listens on", "Escucha en"),
    ("Started", "Inicio"),
    ("Last seen", "Visto"),
    ("Runs in", "Dentro de"),
    ("now", "ahora"),
    ("Script", "Script"),
    ("Working directory", "Directorio de trabajo"),
    ("Exit code", "Código de salida"),
    ("Failed attempts", "Intentos fallidos"),
    ("more; `--limit` shows them", "más; `--limit` los muestra"),
    ("not seen", "no visto"),
    ("whole", "entera"),
    (
        "rows whole, an index or a rule broken",
        "filas enteras, un índice o una regla rota",
    ),
    (
        "damaged: only these rows can be read",
        "dañada: solo se leen estas filas",
    ),
    ("rows", "filas"),
    (
        "Sums that are not what the rows say",
        "Sumas que no son lo que dicen las filas",
    ),
    ("The database is whole.", "La base de datos está entera."),
    ("The database is damaged.", "La base de datos está dañada."),
    (
        "No table of it can be read. Put a backup in its place, or set the file aside: `atalaya watch` makes a new one.",
        "No se puede leer ninguna tabla. Ponga una copia de seguridad en su lugar, o aparte el archivo: `atalaya watch` hace uno nuevo.",
    ),
    ("Table", "Tabla"),
    ("Rows", "Filas"),
    ("Bytes", "Bytes"),
    ("Indexes", "Índices"),
    ("Bytes/row", "Bytes/fila"),
    ("in the file", "en el archivo"),
    ("of it free", "libres"),
];

/// A label in this language: from the catalogue, else from here.
pub(crate) fn label(english: &'static str, language: Language) -> &'static str {
    let known = term(english, language);
    if language == Language::English || known != english {
        return known;
    }
    SPANISH
        .iter()
        .find(|(key, _)| *key == english)
        .map_or(english, |(_, spanish)| spanish)
}

/// Why no process is named, in a few words.
pub(super) fn reason(evidence: Evidence, language: Language) -> &'static str {
    match (language, evidence) {
        (Language::English, Evidence::KernelOwned) => "kernel, its process has let it go",
        (Language::Spanish, Evidence::KernelOwned) => "núcleo, su proceso ya la soltó",
        (Language::English, Evidence::BetweenLooks) => "closed before its process was seen",
        (Language::Spanish, Evidence::BetweenLooks) => "cerrada antes de ver su proceso",
        (Language::English, Evidence::NoPermission) => "no permission to see its process",
        (Language::Spanish, Evidence::NoPermission) => "sin permiso para ver su proceso",
        (Language::English, Evidence::NotFound) => "no readable process holds it",
        (Language::Spanish, Evidence::NotFound) => "ningún proceso legible la tiene",
        (_, _) => label("unknown process", language),
    }
}

//! From files to definitions, or to everything that is wrong with them.

use super::{
    error::DefinitionError,
    faults::{Faults, Place, SourceFile},
    limits::FILES_MAX,
    link::link,
    model::Definitions,
    read::read_file,
};

/// Checks all files of a definitions folder, given as relative paths and texts.
///
/// Reports every error of every file, sorted by file and line. A file that cannot be read as TOML does not hide errors of
/// others; while one is broken, names that nobody defines are not reported, because it may be what defines them.
pub fn check(files: &[(String, String)]) -> Result<Definitions, Vec<DefinitionError>> {
    let mut sources: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
    sources.sort_by_key(|source| source.path);
    let mut faults = Faults::new(&sources);
    if let Some(place) = (sources.len() > FILES_MAX).then_some(Place { file: FILES_MAX, start: 0, end: 0 }) {
        faults.report_limit(place, "definition files", sources.len(), ("FILES_MAX", FILES_MAX));
        return Err(faults.into_errors());
    }
    let declared: Vec<_> =
        sources.iter().enumerate().map(|(file, source)| read_file(file, source.text, &mut faults)).collect();
    let definitions = link(&declared, &mut faults);
    let errors = faults.into_errors();
    if errors.is_empty() { Ok(definitions) } else { Err(errors) }
}

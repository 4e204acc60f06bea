//! Every bound on definitions, with its reason. They stop accidents (a generated file gone wrong) before those reach a
//! serving core; none is near what a real repository holds.

/// Definition files in one folder.
pub const FILES_MAX: usize = 4096;
/// One file. Generated definitions of a thousand views stay below; beyond it, somebody put data here.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Syntax errors reported in one file: after that many, its author wants to see the file, not more errors.
pub const SYNTAX_ERRORS_MAX: usize = 16;

/// Workspaces of one folder. Each has plans of its own in every core's memory.
pub const WORKSPACES_MAX: usize = 64;
/// Entities of a workspace.
pub const ENTITIES_MAX: usize = 1024;
/// Stream sources of a workspace.
pub const STREAM_SOURCES_MAX: usize = 1024;
/// Feature views of a workspace: each is a table with files and mappings of its own.
pub const VIEWS_MAX: usize = 1024;
/// Feature services of a workspace: each is a compiled plan.
pub const SERVICES_MAX: usize = 1024;

/// Join keys of an entity or a view; all of them together must fit the store's longest encoded key.
pub const JOIN_KEYS_MAX: usize = 16;
/// Entities of a view. Each brings at least one join key.
pub const ENTITIES_PER_VIEW_MAX: usize = JOIN_KEYS_MAX;
/// Features of a view: the columns of one row.
pub const FEATURES_PER_VIEW_MAX: usize = 4096;
/// Fields of a stream source: as many as the largest view takes of one record.
pub const FIELDS_PER_STREAM_SOURCE_MAX: usize = FEATURES_PER_VIEW_MAX + JOIN_KEYS_MAX + 1;
/// Features of a service: the length of a vector. At 60 bytes of names and types each, its metadata stays near 1 MB.
pub const FEATURES_PER_SERVICE_MAX: usize = 16_384;
/// Namespaces of a service: one read of a view each.
pub const SELECTIONS_PER_SERVICE_MAX: usize = 1024;

/// A name of any kind, with its variant. Two of them and a suffix fit a file name (255 bytes) and a log line.
pub const NAME_BYTES_MAX: usize = 128;
/// A column's name in a source, which others chose.
pub const COLUMN_BYTES_MAX: usize = 256;
/// A source's path: what the kernel accepts, without the final NUL.
pub const PATH_BYTES_MAX: usize = 4095;
/// A description. It is served as metadata with every vector that asks for it.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Tags of one entity, view, feature or service.
pub const TAGS_MAX: usize = 32;
/// A tag's value; its key is a name.
pub const TAG_VALUE_BYTES_MAX: usize = 256;

/// Levels of a type: `int64` has one, `array<int64>` two. Rendering recurses once a level.
pub const TYPE_DEPTH_MAX: usize = 8;
/// Fields of one struct, which is served as a positional list.
pub const STRUCT_FIELDS_MAX: usize = 256;
/// A type as written.
pub const TYPE_BYTES_MAX: usize = 16_384;
/// The longest `ttl`, in days: a hundred years. More is a slip of the unit, and leaving `ttl` out means for ever.
pub const TTL_DAYS_MAX: i64 = 36_500;

const _: () = {
    assert!(FEATURES_PER_VIEW_MAX <= FEATURES_PER_SERVICE_MAX, "a service can take a whole view");
    assert!(2 * NAME_BYTES_MAX - 1 <= 255, "a workspace and a view fit one file name each, and both one metric label");
    assert!(TTL_DAYS_MAX < i64::MAX / 86_400_000_000, "a ttl fits an i64 of microseconds");
    assert!(JOIN_KEYS_MAX * 8 <= gannet_store::limits::KEY_BYTES_MAX, "int64 keys alone always fit an encoded key");
};

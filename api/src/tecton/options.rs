//! Which metadata an answer carries.

/// A set of metadata options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct MetadataOptions(u8);

impl MetadataOptions {
    pub const NAMES: Self = Self(1);
    pub const EFFECTIVE_TIMES: Self = Self(1 << 1);
    pub const DATA_TYPES: Self = Self(1 << 2);
    /// The deprecated `type` beside `dataType`.
    pub const TYPES: Self = Self(1 << 3);
    pub const SERVING_STATUS: Self = Self(1 << 4);
    pub const FEATURE_DESCRIPTIONS: Self = Self(1 << 5);
    pub const FEATURE_TAGS: Self = Self(1 << 6);
    /// Says nothing about single features, so it is not part of what chooses a template.
    pub const SLO_INFO: Self = Self(1 << 7);

    /// How many sets there are without [`Self::SLO_INFO`].
    pub(crate) const ITEM_SETS: usize = 1 << 7;

    /// Every option with the name that requests and settings give it.
    pub const ALL: [(&'static str, Self); 8] = [
        ("includeNames", Self::NAMES),
        ("includeEffectiveTimes", Self::EFFECTIVE_TIMES),
        ("includeDataTypes", Self::DATA_TYPES),
        ("includeTypes", Self::TYPES),
        ("includeServingStatus", Self::SERVING_STATUS),
        ("includeFeatureDescriptions", Self::FEATURE_DESCRIPTIONS),
        ("includeFeatureTags", Self::FEATURE_TAGS),
        ("includeSloInfo", Self::SLO_INFO),
    ];

    /// The option with this name, for example `includeNames`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, option)| *option)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Number of the set of options about single features, below [`Self::ITEM_SETS`].
    pub(crate) fn item_set(self) -> usize {
        usize::from(self.0 & !Self::SLO_INFO.0)
    }
}

//! Skills: what agents can do and how well, and what callers need. Equal lists are kept once, so
//! that a queue can sort its agents by list instead of looking at each. Who gets whom is decided
//! in `queue/`.

use std::collections::BTreeMap;

/// A skill: an index into [`super::Config::skills`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkillIndex(pub u16);

/// What an agent can do: an index into [`super::Config::profiles`]. 0 is nothing in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileIndex(pub u32);

/// What a caller needs: an index into [`super::Config::requirements`]. 0 is nothing in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequirementIndex(pub u16);

impl RequirementIndex {
    /// Any agent will do.
    pub const ANYONE: Self = Self(0);
}

/// Skills with a level each, ascending by skill, each skill once.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Levels(Box<[(SkillIndex, u8)]>);

impl Levels {
    /// These, in any order; of a skill that is there twice the first stays.
    #[must_use]
    pub fn new(mut levels: Vec<(SkillIndex, u8)>) -> Self {
        levels.sort_by_key(|(skill, _)| *skill);
        levels.dedup_by_key(|(skill, _)| *skill);
        Self(levels.into())
    }

    /// Each skill and its level, ascending by skill.
    pub fn iter(&self) -> impl Iterator<Item = (SkillIndex, u8)> {
        self.0.iter().copied()
    }

    /// The level of a skill; 0 is none.
    #[must_use]
    pub fn of(&self, skill: SkillIndex) -> u8 {
        let found = self.0.binary_search_by_key(&skill, |(known, _)| *known);
        found.map_or(0, |position| self.0[position].1)
    }

    /// Whether every skill of `required` is here, at its level or above.
    #[must_use]
    pub fn meets(&self, required: &Self) -> bool {
        required
            .iter()
            .all(|(skill, level)| self.of(skill) >= level)
    }

    /// The levels here of the skills of `required`, together.
    #[must_use]
    pub fn sum(&self, required: &Self) -> u32 {
        required
            .iter()
            .map(|(skill, _)| u32::from(self.of(skill)))
            .sum()
    }
}

/// Numbers for skills and lists of skills while a configuration is read: equal ones get the same.
#[derive(Debug)]
pub(super) struct Interner {
    skills: BTreeMap<Box<str>, SkillIndex>,
    profiles: BTreeMap<Levels, ProfileIndex>,
    requirements: BTreeMap<Levels, RequirementIndex>,
}

impl Interner {
    pub(super) fn new() -> Self {
        let nothing = Levels::default();
        Self {
            skills: BTreeMap::new(),
            profiles: BTreeMap::from([(nothing.clone(), ProfileIndex(0))]),
            requirements: BTreeMap::from([(nothing, RequirementIndex::ANYONE)]),
        }
    }

    /// The number of a skill, new or known. Nothing if there are as many as may be.
    pub(super) fn skill(&mut self, name: &str) -> Option<SkillIndex> {
        if let Some(known) = self.skills.get(name) {
            return Some(*known);
        }
        if self.skills.len() >= crate::limits::SKILLS_MAX {
            return None;
        }
        let number = u16::try_from(self.skills.len()).expect("SKILLS_MAX fits in 16 bits");
        let skill = SkillIndex(number);
        self.skills.insert(name.into(), skill);
        Some(skill)
    }

    pub(super) fn profile(&mut self, levels: Levels) -> ProfileIndex {
        let next = u32::try_from(self.profiles.len()).expect("AGENTS_MAX fits in 32 bits");
        *self.profiles.entry(levels).or_insert(ProfileIndex(next))
    }

    /// Nothing if there are as many as may be.
    pub(super) fn requirement(&mut self, levels: Levels) -> Option<RequirementIndex> {
        let next = u16::try_from(self.requirements.len()).ok();
        match self.requirements.get(&levels) {
            Some(known) => Some(*known),
            None => {
                let number = RequirementIndex(next?);
                self.requirements.insert(levels, number);
                Some(number)
            }
        }
    }

    /// The names of skills, the profiles and the requirements, each by its number.
    pub(super) fn tables(&self) -> (Vec<Box<str>>, Vec<Levels>, Vec<Levels>) {
        fn by_number<K: Clone, V: Ord + Copy>(numbers: &BTreeMap<K, V>) -> Vec<K> {
            let mut pairs: Vec<(V, &K)> =
                numbers.iter().map(|(key, value)| (*value, key)).collect();
            pairs.sort_by_key(|(number, _)| *number);
            pairs.into_iter().map(|(_, key)| key.clone()).collect()
        }
        (
            by_number(&self.skills),
            by_number(&self.profiles),
            by_number(&self.requirements),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(pairs: &[(u16, u8)]) -> Levels {
        Levels::new(
            pairs
                .iter()
                .map(|(skill, level)| (SkillIndex(*skill), *level))
                .collect(),
        )
    }

    #[test]
    fn a_profile_meets_what_it_reaches_in_every_skill() {
        let profile = levels(&[(3, 7), (1, 2)]);
        for (required, met, sum) in [
            (levels(&[]), true, 0),
            (levels(&[(1, 2)]), true, 2),
            (levels(&[(1, 2), (3, 5)]), true, 9),
            (levels(&[(1, 3)]), false, 2),
            (levels(&[(2, 1)]), false, 0),
            (levels(&[(2, 1), (3, 1)]), false, 7),
        ] {
            assert_eq!(profile.meets(&required), met, "{required:?}");
            assert_eq!(profile.sum(&required), sum, "{required:?}");
        }
    }

    #[test]
    fn equal_lists_have_one_number() {
        let mut interner = Interner::new();
        let english = interner.skill("english").unwrap();
        assert_eq!(interner.skill("english"), Some(english));
        let profile = interner.profile(levels(&[(0, 3)]));
        assert_eq!(interner.profile(levels(&[(0, 3)])), profile);
        assert_eq!(interner.profile(Levels::default()), ProfileIndex(0));
        assert_eq!(
            interner.requirement(Levels::default()),
            Some(RequirementIndex::ANYONE)
        );
        let (skills, profiles, requirements) = interner.tables();
        assert_eq!(
            (skills.len(), profiles.len(), requirements.len()),
            (1, 2, 1)
        );
        assert_eq!(profiles[1], levels(&[(0, 3)]));
    }
}

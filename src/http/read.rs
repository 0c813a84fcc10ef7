//! Reads a JSON body into the struct that the document shows: a body is described once.
//!
//! [`Reader`] is serde's side of a [`Value`]. What a plain reader lacks is what clients need in an error: OpenCode's
//! words for what was expected, and the place in the body. The path is put together on an error's way up. A struct
//! tells its fields' names, so that near misses are found: unknown fields are ignored, as OpenCode does, except one
//! that differs from a known one only in case, underscores or hyphens, since ignoring `provider_id` would answer 200
//! and change nothing. The bounds are those that fields are marked with ([`bounded`](crate::opencode::bounded)).

mod wrong;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use self::wrong::{Wrong, described, refuse_near_misses, words};
use super::bounds::{Bound, List, data_exceeded};
use super::error::{BadKind, Problem};
use crate::session::Sizes;

/// The largest integer that a JSON number holds exactly (2^53 - 1).
pub(super) const INTEGER_MAX: u64 = (1 << 53) - 1;
/// The name of an enum whose variants are objects, told apart by their [`TAG`].
const TAGGED: &str = "tagged";
/// The field that tells them apart.
const TAG: &str = "type";

/// Reads a body; `None` means that there is none.
///
/// # Errors
/// `BadRequest` that says what was expected, what came, and where.
pub fn body<'de, T: Deserialize<'de>>(
    body: Option<&'de Value>,
    sizes: &Sizes,
) -> Result<T, Problem> {
    let reader = Reader {
        value: body,
        sizes,
        is_nullable: false,
        bound: Bound::Name,
        list: None,
        from: None,
    };
    T::deserialize(reader).map_err(|wrong| Problem::bad(BadKind::Payload, wrong.to_string()))
}

/// A refusal that names a field of the body, by the names on the way to it.
pub fn refusal(names: &[&str], message: impl Into<String>) -> Problem {
    let mut wrong = Wrong::new(message);
    for name in names.iter().rev() {
        wrong = wrong.in_field(name);
    }
    Problem::bad(BadKind::Payload, wrong.to_string())
}

/// A value of the body, and the mark of the field that holds it.
#[derive(Debug, Clone, Copy)]
struct Reader<'de, 's> {
    /// `None` where there is no body.
    value: Option<&'de Value>,
    sizes: &'s Sizes,
    is_nullable: bool,
    /// How long it may be, if it is a text.
    bound: Bound,
    /// How long it may be, if it is a list.
    list: Option<List>,
    /// From which number on it may be, if it is one whose fraction is dropped.
    from: Option<u64>,
}

impl<'de> Reader<'de, '_> {
    /// A field or an element of it, about which nothing is said yet.
    fn inner(self, value: &'de Value) -> Self {
        Self {
            value: Some(value),
            is_nullable: false,
            bound: Bound::Name,
            list: None,
            from: None,
            ..self
        }
    }

    fn wrong(&self, expected: &str) -> Wrong {
        let got = described(self.value);
        Wrong::new(format!("Expected {expected}, got {got}"))
    }

    fn wrong_or_null(&self, expected: &str) -> Wrong {
        match self.is_nullable {
            true => self.wrong(&format!("{expected} | null")),
            false => self.wrong(expected),
        }
    }

    fn object(&self) -> Option<&'de Map<String, Value>> {
        self.value.and_then(Value::as_object)
    }

    fn text(&self) -> Result<&'de str, Wrong> {
        let text = self.value.and_then(Value::as_str);
        let text = text.ok_or_else(|| self.wrong_or_null("string"))?;
        match self.bound.exceeded(self.sizes, text) {
            Some(message) => Err(Wrong::new(message)),
            None => Ok(text),
        }
    }

    fn number(&self) -> Result<u64, Wrong> {
        let number = self.value.and_then(Value::as_f64);
        let number = number.filter(|n| (0.0..=INTEGER_MAX as f64).contains(n));
        let whole = self.from.is_none();
        let number = number.filter(|n| !whole || n.fract() == 0.0);
        let kind = if whole { "a whole number" } else { "a number" };
        let expected = format!("{kind} between 0 and 2^53 - 1");
        // Within these bounds the conversion is exact.
        let number = number.ok_or_else(|| self.wrong_or_null(&expected))? as u64;
        match self.from {
            Some(from) if number < from => Err(self.wrong(&format!("a number of at least {from}"))),
            _ => Ok(number),
        }
    }

    fn list(&self) -> Result<&'de [Value], Wrong> {
        let list = self.value.and_then(Value::as_array);
        let list = list.ok_or_else(|| self.wrong_or_null("array"))?;
        let exceeded = self.exceeded(list.len(), "elements");
        exceeded.map_or(Ok(list), |message| Err(Wrong::new(message)))
    }

    fn exceeded(&self, length: usize, counted: &str) -> Option<String> {
        let kind = self.list?;
        kind.exceeded(self.sizes, length, counted)
    }

    fn check_data(&self) -> Result<(), Wrong> {
        let Some(data) = self.value.filter(|value| value.is_object()) else {
            return Ok(());
        };
        data_exceeded(self.sizes, data).map_or(Ok(()), |message| Err(Wrong::new(message)))
    }

    /// What a mark says about the value.
    fn marked(mut self, mark: &str) -> Result<Self, Wrong> {
        match mark {
            "bound:data" => self.check_data()?,
            "number:from-0" => self.from = Some(0),
            "number:from-1" => self.from = Some(1),
            _ => {
                self.bound = Bound::marked(mark).unwrap_or(self.bound);
                self.list = List::marked(mark);
            }
        }
        Ok(self)
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let value = self.value.ok_or_else(|| self.wrong("JSON value"))?;
        value.deserialize_any(visitor).map_err(Wrong::custom)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.value.ok_or_else(|| self.wrong("JSON value"))?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => {
                self.is_nullable = true;
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let on = self.value.and_then(Value::as_bool);
        visitor.visit_bool(on.ok_or_else(|| self.wrong_or_null("boolean"))?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u64(self.number()?.min(u32::MAX.into()))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_seq(Elements {
            reader: self,
            rest: self.list()?.iter().enumerate(),
        })
    }

    /// An object of any names. Those of [`Value`] itself come by `deserialize_any`.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let map = self.object();
        let map = map.ok_or_else(|| self.wrong_or_null("object"))?;
        if self.list.is_some() {
            let too_long = |name: &String| Bound::Name.exceeded(self.sizes, name);
            let exceeded = self.exceeded(map.len(), "fields");
            if let Some(message) = exceeded.or_else(|| map.keys().find_map(too_long)) {
                return Err(Wrong::new(message));
            }
        }
        visitor.visit_map(Entries::new(self, map.iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let map = self.object().ok_or_else(|| self.wrong("object"))?;
        refuse_near_misses(map, fields)?;
        // In the order of the struct, so that what tells variants apart is there before what it is about.
        let entries = fields.iter().filter_map(|name| map.get_key_value(*name));
        visitor.visit_map(Entries::new(self, entries))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.value {
            // serde_json's own, for a value that is kept as its text.
            Some(value) if name.starts_with('$') => {
                let map = self.object();
                map.ok_or_else(|| self.wrong_or_null("object"))?;
                let read = value.deserialize_newtype_struct(name, visitor);
                read.map_err(Wrong::custom)
            }
            _ => visitor.visit_newtype_struct(self.marked(name)?),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if name == TAGGED {
            let map = self.object().ok_or_else(|| self.wrong("object"))?;
            refuse_near_misses(map, &[TAG])?;
            let tag = map.get(TAG).ok_or_else(|| Wrong::missing_field(TAG))?;
            let known = tag.as_str().filter(|tag| variants.contains(tag));
            let refuse = || self.inner(tag).wrong(&words(variants)).in_field(TAG);
            let variant = known.ok_or_else(refuse)?;
            return visitor.visit_enum(Variant { variant, of: self });
        }
        let word = self.value.and_then(Value::as_str);
        let word = word.filter(|word| variants.contains(word));
        let variant = word.ok_or_else(|| self.wrong(&words(variants)))?;
        visitor.visit_enum(Variant { variant, of: self })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

/// The elements of a list.
struct Elements<'de, 's, I> {
    reader: Reader<'de, 's>,
    rest: I,
}

impl<'de, I: Iterator<Item = (usize, &'de Value)>> SeqAccess<'de> for Elements<'de, '_, I> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Some((index, value)) = self.rest.next() else {
            return Ok(None);
        };
        // What is said of a list of lists is said of each.
        let reader = Reader {
            bound: self.reader.bound,
            list: self.reader.list,
            ..self.reader.inner(value)
        };
        let read = seed.deserialize(reader);
        read.map(Some).map_err(|wrong| wrong.within(&index))
    }
}

/// Fields of an object.
struct Entries<'de, 's, I> {
    reader: Reader<'de, 's>,
    rest: I,
    at: Option<(&'de String, &'de Value)>,
}

impl<'de, 's, I> Entries<'de, 's, I> {
    fn new(reader: Reader<'de, 's>, rest: I) -> Self {
        let at = None;
        Self { reader, rest, at }
    }
}

impl<'de, I> MapAccess<'de> for Entries<'de, '_, I>
where
    I: Iterator<Item = (&'de String, &'de Value)>,
{
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        self.at = self.rest.next();
        let Some((name, _)) = self.at else {
            return Ok(None);
        };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((name, value)) = self.at.take() else {
            return Err(Wrong::new("a value before its name"));
        };
        let read = seed.deserialize(self.reader.inner(value));
        read.map_err(|wrong| wrong.in_field(name))
    }
}

/// One of an enum's variants: a word, or an object with its fields.
struct Variant<'de, 's> {
    variant: &'de str,
    of: Reader<'de, 's>,
}

impl<'de, 's> EnumAccess<'de> for Variant<'de, 's> {
    type Error = Wrong;
    type Variant = Reader<'de, 's>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Wrong> {
        let variant = seed.deserialize(StrDeserializer::new(self.variant))?;
        Ok((variant, self.of))
    }
}

impl<'de> VariantAccess<'de> for Reader<'de, '_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
pub(super) use tests::any_json;
#[cfg(test)]
mod tests;

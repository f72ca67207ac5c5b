#pragma once

/// @file
/// JSON values of typed events: arrays from the app's own containers, and objects built key by key.
/// Ready JSON text can be passed as JsonText.

#include <concepts>
#include <cstddef>
#include <cstring>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <homeward/detail/json_text.hpp>
#include <homeward/text.hpp>

namespace homeward {

/// Base of the builders; owns its text. One thread at a time.
class JsonBuilder {
  public:
    /// The JSON built so far, valid at any time.
    /// @return a view until the builder changes
    std::string_view text() const noexcept { return text_; }

  protected:
    /// @cond
    explicit JsonBuilder(std::string_view text) : text_(text) {}
    /// Behind what is there; all of it or, when there is no memory, nothing.
    void insert(std::string&& part) {
        if (text_.size() > 2) part.insert(0, 1, ',');
        text_.insert(text_.size() - 1, part);
    }
    std::string text_;
    /// @endcond
};

/// A JSON object: `JsonObject detail; detail.add("ip", ip).add("tries", 3); event.detail = detail;`
/// Keys are not compared: the leader keeps the last of two equal keys.
class JsonObject : public JsonBuilder {
  public:
    /// Empty.
    JsonObject() : JsonBuilder("{}") {}

    /// Adds one member.
    /// @param key any text
    /// @param value nullptr, a boolean, number, text, TimeUs, Decimal, builder, optional or range
    /// of these
    /// @return this object
    /// @throws std::bad_alloc without memory; nothing is added then
    template <typename Value>
    JsonObject& add(std::string_view key, const Value& value) & {
        std::string member;
        detail::StringSink sink{member};
        detail::put_json_string(sink, key);
        member += ':';
        detail::put_json(sink, value);
        insert(std::move(member));
        return *this;
    }
    /// The same on a temporary, which it returns.
    /// @param key any text
    /// @param value as above
    /// @return this object
    template <typename Value>
    JsonObject&& add(std::string_view key, const Value& value) && {  // stays a temporary
        return std::move(add(key, value));
    }
    /// Removes all members but keeps the memory, so building in a loop allocates once.
    void clear() { text_ = "{}"; }
};

/// A JSON array of any values, for fields that are kept as jsonb.
class JsonArray : public JsonBuilder {
  public:
    /// Empty.
    JsonArray() : JsonBuilder("[]") {}

    /// Adds one element.
    /// @param value as for JsonObject::add()
    /// @return this array
    /// @throws std::bad_alloc without memory; nothing is added then
    template <typename Value>
    JsonArray& add(const Value& value) & {
        std::string element;
        detail::StringSink sink{element};
        detail::put_json(sink, value);
        insert(std::move(element));
        return *this;
    }
    /// The same on a temporary, which it returns.
    /// @param value as for JsonObject::add()
    /// @return this array
    template <typename Value>
    JsonArray&& add(const Value& value) && {
        return std::move(add(value));
    }
    /// Removes all elements but keeps the memory.
    void clear() { text_ = "[]"; }
};

/// Any one JSON value, for jsonb fields that accept any.
class JsonValue : public JsonBuilder {
  public:
    /// @param value as for JsonObject::add()
    template <typename Value>
    requires(!std::derived_from<Value, JsonBuilder>) explicit JsonValue(const Value& value)
        : JsonBuilder("") {
        detail::StringSink sink{text_};
        detail::put_json(sink, value);
    }
};

/// The value of a jsonb field: a `Builder`, borrowed until emit() returns, or JSON text. A
/// temporary does not compile.
template <typename Builder>
class JsonOf {
  public:
    /// Unset.
    constexpr JsonOf() = default;
    /// @param json it must live until emit() returns
    constexpr JsonOf(const JsonText& json) noexcept : text_(json.text) {}  // NOLINT
    /// @param built it must live until emit() returns
    template <typename Source>
    requires(std::derived_from<std::remove_cvref_t<Source>, Builder>&&
                 std::is_lvalue_reference_v<Source>) JsonOf(Source&& built)
    noexcept  // NOLINT
        : text_(built.text()) {}
    template <typename Source>
    requires(std::derived_from<std::remove_cvref_t<Source>, Builder> &&
             !std::is_lvalue_reference_v<Source>) JsonOf(Source&& temporary)
    = delete;

    /// @return whether a value was given
    constexpr bool is_set() const noexcept { return text_.is_set(); }
    /// @return the JSON; empty if unset
    constexpr std::string_view view() const noexcept { return text_.view(); }

  private:
    Text text_;
};

/// The value of an array field: contiguous elements (std::vector, std::array, std::span, a C
/// array), borrowed until emit() returns, which writes them as JSON. A temporary does not compile.
template <typename Field>
class Array {
  public:
    /// Unset.
    constexpr Array() = default;
    /// Borrows a container.
    /// @param source it must live until emit() returns
    template <typename Source>
    requires(detail::ArrayOf<std::remove_reference_t<Source>, Field>&&
                 OutlivesStatement<Source>) constexpr Array(Source&& source) noexcept  // NOLINT
        : elements_(std::ranges::data(source)),
          count_(std::ranges::size(source)),
          ops_(&kOpsOf<std::ranges::range_value_t<std::remove_reference_t<Source>>>) {}
    template <typename Source>
    requires(detail::ArrayOf<std::remove_reference_t<Source>, Field> && !OutlivesStatement<Source>)
        Array(Source&& temporary)
    = delete;
    /// @param json the text of a JSON array; it must live until emit() returns
    constexpr Array(const JsonText& json) noexcept  // NOLINT
        : elements_(json.text.data()),
          count_(json.text.size()),
          ops_(json.text.is_set() ? &kTextOps : nullptr) {}

    /// @return whether a value was given
    constexpr bool is_set() const noexcept { return ops_ != nullptr; }
    /// @return size of the array as JSON; 0 if unset
    std::size_t json_bytes() const noexcept { return is_set() ? ops_->count(*this) : 0; }
    /// Writes the array as JSON.
    /// @param at room for json_bytes()
    /// @return the end of what was written
    std::byte* write_json(std::byte* at) const noexcept {
        return is_set() ? ops_->write(*this, at) : at;
    }

  private:
    struct Ops {
        std::size_t (*count)(const Array&) noexcept;
        std::byte* (*write)(const Array&, std::byte* at) noexcept;
    };
    template <typename Element, typename Sink>
    void put(Sink& sink) const {
        const auto* elements = static_cast<const Element*>(elements_);
        sink.put("[");
        for (std::size_t i = 0; i < count_; ++i) {
            if (i > 0) sink.put(",");
            if constexpr (std::same_as<Element, Decimal>) {
                detail::put_json_string(sink, elements[i].text());  // a column takes NaN, too
            } else {
                detail::put_json(sink, elements[i]);
            }
        }
        sink.put("]");
    }
    template <typename Element>
    static constexpr Ops kOpsOf{[](const Array& array) noexcept {
                                    detail::CountingSink sink;
                                    array.put<Element>(sink);
                                    return sink.bytes;
                                },
                                [](const Array& array, std::byte* at) noexcept {
                                    detail::RecordSink sink{at};
                                    array.put<Element>(sink);
                                    return sink.at;
                                }};
    static constexpr Ops kTextOps{[](const Array& array) noexcept { return array.count_; },
                                  [](const Array& array, std::byte* at) noexcept {
                                      std::memcpy(at, array.elements_, array.count_);
                                      return at + array.count_;
                                  }};

    const void* elements_ = nullptr;
    std::size_t count_ = 0;
    const Ops* ops_ = nullptr;
};

}  // namespace homeward

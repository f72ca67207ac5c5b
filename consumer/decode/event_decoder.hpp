#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/base/config.hpp"
#include "schemas/types/event_type.hpp"

namespace simdjson::dom {
class parser;
class element;
class object;
}  // namespace simdjson::dom

namespace homeward::consumer {

/// The event types that the leader has tables for. Immutable; shared by all decoders.
class Catalog {
  public:
    explicit Catalog(std::vector<EventType> types);
    const std::vector<EventType>& types() const { return types_; }
    /// Index into types(), or -1.
    int find(std::string_view name) const;

  private:
    std::vector<EventType> types_;
    std::map<std::string, int, std::less<>> index_;
};

/// What became of one line.
struct EventOutcome {
    enum class Kind : std::uint8_t {
        row,        ///< appended to the rows, of type `type`
        tombstone,  ///< covers `count` seqs that will never be rows; `reason` says why
        unknown,    ///< of a type that the catalog does not have: `type_name`
        bad,        ///< cannot be a row; `reason` says why, for an operator
    };
    Kind kind = Kind::bad;
    int type = -1;
    std::uint32_t count = 1;
    std::int64_t time_us = 0;
    std::string type_name;
    std::string reason;
};

/// Turns lines of JSON into rows for binary COPY. One thread at a time; reuses its memory.
class EventDecoder {
  public:
    struct Limits {
        std::int64_t past_max_us;    ///< how far before `now_us` an event's time may lie
        std::int64_t future_max_us;  ///< and how far behind
    };
    EventDecoder(std::shared_ptr<const Catalog> catalog, Limits limits);
    ~EventDecoder();

    /// Bytes that must be readable behind every line, as the JSON parser reads ahead.
    static std::size_t padding();

    /// What an event gets from its message.
    struct Place {
        std::int32_t origin;
        std::int64_t seq;
        std::int64_t time_us;  ///< of the message, for events without a time of their own
    };
    /// Appends the row to `rows` (only for Kind::row).
    EventOutcome decode(std::string_view line, const Place& place, std::int64_t now_us,
                        std::string& rows);

    /// Whether it is one JSON text of any kind; padded like a line.
    bool is_json(std::string_view text);
    /// Parses a JSON text, padded like a line. `root` is valid until the next call of any function.
    bool parse(std::string_view text, simdjson::dom::element& root);
    /// Whether an event of that time may become a row now.
    bool is_near(const EventType& type, std::int64_t time_us, std::int64_t now_us) const;

    const Catalog& catalog() const { return *catalog_; }
    /// NUL characters in text, which PostgreSQL cannot hold, were replaced by U+FFFD.
    std::uint64_t replaced_nuls() const { return replaced_nuls_; }
    void count_replaced_nuls(std::uint64_t count) { replaced_nuls_ += count; }

  private:
    struct Head;
    std::string explain_bad_json(std::string_view line) const;
    std::string_view as_stored(std::string_view key);
    bool read_head(const simdjson::dom::object& object, Head& head);
    bool place_fields(const simdjson::dom::object& object, std::string_view line,
                      const EventType& type);
    bool append_row(const EventType& type, std::int32_t origin, std::int64_t seq,
                    std::int64_t time_us, std::string& rows);
    std::int64_t past_max_us(const EventType& type) const;
    bool fail(std::string reason);

    std::shared_ptr<const Catalog> catalog_;
    Limits limits_;
    std::unique_ptr<simdjson::dom::parser> parser_;
    struct Fields;
    std::unique_ptr<Fields> fields_;  // one slot per field of the type at hand, and the extra keys
    std::string reason_;
    int parse_error_ = 0;  // simdjson's
    std::uint64_t replaced_nuls_ = 0;
};

EventDecoder::Limits time_limits(const Config& config);

}  // namespace homeward::consumer

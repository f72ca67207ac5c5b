#include "consumer/tune/synthetic_frames.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <stdexcept>
#include <string>

#include "consumer/base/time.hpp"
#include "schemas/text/json_text.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {
namespace {

/// So many that no two batches look alike, and that they are made in a moment.
constexpr std::size_t kFrames = 64;
constexpr std::size_t kTextBytes = 24;

/// Values as they may stand in an event of a type. Always the same ones.
class EventMaker {
  public:
    std::string line(const EventType& type) {
        std::string json =
            R"({"type":")" + type.name + R"(","time":)" + std::to_string(system_us());
        for (const Field& field : type.fields) {
            json += ",\"" + field.name + "\":";
            json += field.array ? "[" + scalar(field) + "," + scalar(field) + "]" : scalar(field);
        }
        return json + "}\n";
    }

  private:
    std::string scalar(const Field& field) {
        const std::uint64_t chance = random_();
        switch (field.kind) {
            case FieldKind::text:
                return text(field);
            case FieldKind::integer:
                return std::to_string(integer(field));
            case FieldKind::real:
                return real(field);
            case FieldKind::boolean:
                return chance % 2 == 0 ? "true" : "false";
            case FieldKind::timestamp:
                return R"("2026-0)" + std::to_string(chance % 9 + 1) + R"(-17T11:22:33.123456Z")";
            case FieldKind::uuid:
                return R"("0188f2a4-5b6c-7d8e-9f01-)" + hex(12) + '"';
            case FieldKind::inet:
                return R"("10.1.)" + std::to_string(chance % 256) + "." +
                       std::to_string(chance / 256 % 256) + '"';
            case FieldKind::json:
                return R"({"ip":"10.0.)" + std::to_string(chance % 256) +
                       R"(.7","status":200,"ms":)" + std::to_string(chance % 60) + "}";
        }
        throw std::logic_error("a field kind without a value");
    }

    std::string text(const Field& field) {
        std::string value = field.allowed.empty() ? field.name + ":" + hex(16)
                                                  : field.allowed[random_() % field.allowed.size()];
        const std::size_t most = field.length_max == 0 ? kTextBytes : field.length_max;
        if (field.allowed.empty()) value.resize(std::min({value.size(), most, kTextBytes}));
        std::string json;
        append_json_string(json, value);
        return json;
    }

    std::int64_t integer(const Field& field) {
        const auto low = static_cast<std::int64_t>(field.minimum.value_or(0));
        const auto high =
            static_cast<std::int64_t>(field.maximum.value_or(static_cast<double>(low) + 30'000));
        const auto span = static_cast<std::uint64_t>(std::max<std::int64_t>(high - low, 0)) + 1;
        return low + static_cast<std::int64_t>(random_() % std::min<std::uint64_t>(span, 30'000));
    }

    std::string real(const Field& field) {
        const double low = field.minimum.value_or(field.maximum.value_or(1000) - 1000);
        const double high = field.maximum.value_or(low + 1000);
        return std::to_string(low + (high - low) * static_cast<double>(random_() % 1000) / 1000);
    }

    std::string hex(std::size_t digits) {
        std::string value;
        for (; value.size() < digits;) value += "0123456789abcdef"[random_() % 16];
        return value;
    }

    std::mt19937_64 random_{20260701};
};

}  // namespace

SyntheticFrames::SyntheticFrames(const EventType& type, std::size_t events_per_frame)
    : events_per_frame_(events_per_frame), frames_(kFrames) {
    EventMaker events;
    FrameEncoder encoder;
    FrameHeader header;
    header.event_class = type.event_class;
    header.publisher = PublisherId::random();
    header.seq_count = static_cast<std::uint32_t>(events_per_frame);
    header.line_count = header.seq_count;
    header.accepted = header.seq_count;
    header.cut_time_us = system_us();
    for (auto& frame : frames_) {
        std::string body;
        for (std::size_t i = 0; i < events_per_frame; ++i) body += events.line(type);
        if (body.size() > kBodyBytesMax || !encoder.encode(header, body, frame)) {
            throw std::runtime_error("events of type " + type.name + " are too large for a frame");
        }
    }
}

}  // namespace homeward::consumer

#include "tests/consumer/write/packed_type.hpp"

#include <filesystem>
#include <fstream>

namespace homeward::testing {

std::string measure_type(const std::string& name, const std::string& storage,
                         const std::string& more_fields, const std::string& indexes) {
    return R"({"title": ")" + name + R"(", "type": "object", "properties": {
        "number": {"type": "integer"},
        "note": {"type": "string"},
        "small": {"type": "integer", "x-homeward": {"column": "smallint"}},
        "middle": {"type": "integer", "x-homeward": {"column": "integer"}},
        "single": {"type": "number", "x-homeward": {"column": "real"}},
        "amount": {"type": "number"},
        "exact": {"type": "number", "x-homeward": {"column": "numeric"}},
        "done": {"type": "boolean"},
        "since": {"type": "string", "format": "date-time"},
        "request": {"type": "string", "format": "uuid"},
        "peer": {"type": "string", "format": "ip"},
        "detail": {"type": "object"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "counts": {"type": "array", "items": {"type": "integer"}},
        "times": {"type": "array", "items": {"type": "string", "format": "date-time"}})" +
           more_fields + R"(},
        "required": ["number"],
        "x-homeward": {"class": "audit", "table": ")" +
           name + R"(_table", "partition": "day", "retention_days": 0, "indexes": [)" + indexes +
           R"(], "storage": ")" + storage + R"("}})";
}

void write_type(Bridge& bridge, const std::string& name, const std::string& text) {
    std::filesystem::create_directories(bridge.dir() / "types");
    std::ofstream(bridge.dir() / "types" / (name + ".json")) << text;
    bridge.environment()["HOMEWARD_SCHEMA_TYPES_DIR"] = bridge.dir() / "types";
}

std::vector<std::string> fields_of_events(int count) {
    const std::vector<std::string> odd{
        R"("note":"")",
        R"("note":"a\u001eb")",
        R"("note":"\u001d")",
        R"("note":"\u001d\u001d")",
        R"("note":"NULL")",
        R"("note":"x\\y\n\t{\"z\"}")",
        R"("note":"ü€😀")",
        R"("detail":{"a":"\u001e\u001d\u0000","b":[1e30,null],"c":{}})",
        R"("detail":{})",
        R"("tags":[],"counts":[])",
        R"("tags":["a","","{b}","c\"d",null],"counts":[1,null,-3])",
        R"("times":["2026-01-01T00:00:00Z","2026-01-01T00:00:00.123456+02:00"])",
        R"("small":-32768,"middle":-2147483648,"single":-0.0,"amount":"NaN","exact":"Infinity")",
        R"("exact":123456789012345678901234567890.000100,"amount":1e308)",
        R"("done":true,"since":"1999-12-31T23:59:59.999999Z")",
        R"("request":"123e4567-e89b-12d3-a456-426614174000","peer":"2001:db8::1/64")",
        R"("unknown":{"k":"\u001e"},"other":7)",
    };
    std::vector<std::string> events;
    for (int i = 0; i < count; ++i) {
        const std::string number = "\"number\":" + std::to_string(i);
        if (i % 5 == 0) {
            events.push_back(number + "," + odd[static_cast<std::size_t>(i / 5) % odd.size()]);
        } else {
            events.push_back(number + R"(,"note":"note )" + std::to_string(i % 7) +
                             R"(","middle":)" + std::to_string(i % 3) + R"(,"detail":{"i":)" +
                             std::to_string(i) + "}");
        }
    }
    return events;
}

std::vector<std::string> lines_of(const std::string& type, const std::vector<std::string>& events,
                                  const std::string& time) {
    std::vector<std::string> lines;
    for (const std::string& event : events) {
        lines.push_back(R"({"type":")" + type + "\"," +
                        (time.empty() ? "" : R"("time":")" + time + "\",") + event + "}");
    }
    return lines;
}

std::string count_sql(const std::string& table) {
    return "SELECT count(*) FROM " + table;
}

}  // namespace homeward::testing

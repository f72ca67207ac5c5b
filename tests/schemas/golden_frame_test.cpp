// Frames as earlier versions wrote them lie in schemas/golden, each beside what it says. They are
// never made anew: what a test like this may do is grow.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "schemas/columns/event_line.hpp"
#include "schemas/wire/byte_order.hpp"
#include "schemas/wire/frame.hpp"
#include "schemas/wire/frame_signature.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

const std::filesystem::path kGolden = HOMEWARD_GOLDEN_FRAMES;

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span<const char>(text));
}

struct Golden {
    std::string name;
    std::string frame;
    FrameHeader header;
    FrameContent content;
    bool is_signed = false;
    bool is_columns = false;
};

Golden load(const std::filesystem::path& frame_file) {
    Golden golden;
    golden.name = frame_file.stem();
    golden.frame = read(frame_file);
    const auto json = nlohmann::json::parse(read(kGolden / (golden.name + ".json")));
    FrameHeader& header = golden.header;
    header.event_class = parse_event_class(json.at("class").get<std::string>()).value();
    header.flags = json.at("flags");
    header.publisher = PublisherId::parse(json.at("publisher").get<std::string>()).value();
    header.seq_first = json.at("seq_first");
    header.seq_count = json.at("seq_count");
    header.accepted = json.at("accepted");
    header.cut_time_us = json.at("cut_time_us");
    header.version = json.value("version", std::uint8_t{1});
    golden.is_signed = json.value("signed", false);
    for (const std::string line : json.at("lines")) {
        golden.content.body += line + "\n";
        ++header.line_count;
    }
    // Of columns it is not the lines that are compressed.
    golden.is_columns = json.contains("body_bytes");
    header.body_bytes = json.value("body_bytes", std::uint32_t(golden.content.body.size()));
    for (const auto& lost : json.value("tombstones", nlohmann::json::array())) {
        golden.content.tombstones.push_back(
            {lost.at("offset"), lost.at("count"), lost.at("reason")});
    }
    return golden;
}

std::vector<Golden> all_golden() {
    std::vector<Golden> all;
    for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
        if (entry.path().extension() == ".frame") all.push_back(load(entry.path()));
    }
    return all;
}

}  // namespace

TEST_CASE("every golden frame is still read to exactly what it said") {
    const auto all = all_golden();
    REQUIRE(all.size() >= 12);
    for (const Golden& golden : all) {
        INFO(golden.name);
        FrameDecoder decoder;
        FrameHeader header;
        FrameContent content;
        const FrameError error = decoder.decode(bytes_of(golden.frame), header, content);
        INFO(explain(error));
        REQUIRE(error == FrameError::none);
        CHECK(header == golden.header);
        CHECK((content.body_kind == BodyKind::columns) == golden.is_columns);
        REQUIRE(columns::to_lines(content, header.line_count));
        CHECK(content == golden.content);
        CHECK(check_origin(bytes_of(golden.frame)) ==
              (golden.is_signed ? FrameOrigin::verified : FrameOrigin::unclaimed));
    }
}

TEST_CASE("the golden frames hold each class and every flag") {
    std::set<EventClass> classes;
    unsigned flags = 0;
    for (const Golden& golden : all_golden()) {
        classes.insert(golden.header.event_class);
        flags |= golden.header.flags;
    }
    CHECK(classes.size() == 2);
    CHECK(flags == (kFrameClosing | kFrameCountOnly | kFramePossibleDuplicates));
}

TEST_CASE("today's header is the golden one, byte for byte up to the compressed size") {
    constexpr std::size_t kCompressedSizeOffset = 60;
    for (const Golden& golden : all_golden()) {
        if (golden.header.version != 1) continue;
        INFO(golden.name);
        FrameEncoder encoder;
        std::vector<std::byte> frame;
        REQUIRE(encoder.encode(golden.header, golden.content.body, frame));
        const auto old_bytes = bytes_of(golden.frame);
        CHECK(std::equal(frame.begin(), frame.begin() + kCompressedSizeOffset, old_bytes.begin()));
    }
}

TEST_CASE("today's envelope is the golden one, but for what depends on the compressed size") {
    for (const Golden& golden : all_golden()) {
        if (golden.header.version != 2 || golden.is_signed) continue;
        INFO(golden.name);
        if (golden.name == "v2-unknown-section") continue;
        const auto old_bytes = bytes_of(golden.frame);
        FrameHeader header;
        FrameContent content = golden.content;
        if (golden.is_columns) FrameDecoder().decode(old_bytes, header, content);
        std::vector<std::byte> frame;
        REQUIRE(FrameEncoder().encode(golden.header, content, nullptr, frame));
        const std::size_t header_bytes = load<std::uint32_t>(old_bytes, 12);
        std::vector<std::byte> old_header(old_bytes.begin(), old_bytes.begin() + header_bytes);
        REQUIRE(frame.size() >= header_bytes);
        for (const std::size_t changes : {std::size_t{8}, std::size_t{44}}) {
            store(old_header.data(), changes, std::uint32_t{0});
            store(frame.data(), changes, std::uint32_t{0});
        }
        CHECK(std::equal(old_header.begin(), old_header.end(), frame.begin()));
    }
}

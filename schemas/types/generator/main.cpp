// homeward-generate: event types in, one C++ header each out.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "schemas/types/generator/event_header.hpp"

namespace {

constexpr const char* kUsage =
    "usage: homeward-generate --out DIR FILE...\n"
    "Writes DIR/<type>.event.hpp for each event type (JSON Schema with an x-homeward block).\n"
    "A header that would not change is left alone, so that nothing is rebuilt.\n";

std::string read_file(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

void write_if_changed(const std::filesystem::path& path, const std::string& text) {
    if (std::filesystem::exists(path) && read_file(path) == text) return;
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    stream << text << std::flush;
    if (!stream) throw std::runtime_error(path.string() + ": cannot be written");
}

int generate(const std::filesystem::path& out, const std::vector<std::string>& files) {
    std::filesystem::create_directories(out);
    for (const std::string& file : files) {
        const homeward::EventType type = homeward::load_event_type(file);
        const std::string source = std::filesystem::path(file).filename().string();
        write_if_changed(out / (type.name + ".event.hpp"),
                         homeward::generate_event_header(type, source));
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() == 1 && arguments[0] == "--help") {
        std::fputs(kUsage, stdout);
        return 0;
    }
    if (arguments.size() < 3 || arguments[0] != "--out") {
        std::fputs(kUsage, stderr);
        return 2;
    }
    try {
        return generate(arguments[1], {arguments.begin() + 2, arguments.end()});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "homeward-generate: %s\n", error.what());
        return 1;
    }
}

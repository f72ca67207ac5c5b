#include "schemas/cli/documentation.hpp"

#include <fstream>
#include <stdexcept>

#include "schemas/cli/completion.hpp"
#include "schemas/cli/man_page.hpp"

namespace homeward::cli {
namespace {

void write_file(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream stream(file);
    stream << text;
    stream.close();
    if (!stream) throw std::runtime_error("cannot write " + file.string());
}

}  // namespace

void write_documentation(const CLI::App& program, const std::filesystem::path& directory) {
    for (const auto& [name, text] : man_pages(program)) {
        write_file(directory / "man1" / (name + ".1"), text);
    }
    const std::string name = program.get_name();
    write_file(directory / "bash" / name, bash_completion(program));
    write_file(directory / "zsh" / ("_" + name), zsh_completion(program));
}

}  // namespace homeward::cli

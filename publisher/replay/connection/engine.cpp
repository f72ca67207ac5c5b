#include <homeward/replay/engine.hpp>

#include <array>
#include <utility>

namespace homeward::replay {
namespace {

constexpr std::array<std::pair<std::string_view, Engine>, 5> kNames = {{
    {"postgresql", Engine::postgresql},
    {"mysql", Engine::mysql},
    {"mariadb", Engine::mariadb},
    {"mongodb", Engine::mongodb},
    {"redis", Engine::redis},
}};

}  // namespace

std::string_view name_of(Engine engine) {
    for (const auto& [name, known] : kNames) {
        if (known == engine) return name;
    }
    return "postgresql";
}

std::optional<Engine> engine_of(std::string_view name) {
    for (const auto& [known, engine] : kNames) {
        if (known == name) return engine;
    }
    return std::nullopt;
}

std::optional<Engine> engine_of_url(std::string_view url) {
    const std::size_t end = url.find("://");
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view scheme = url.substr(0, end);
    if (scheme == "postgres") return Engine::postgresql;
    if (scheme == "rediss") return Engine::redis;
    return engine_of(scheme);
}

bool shares_client(Engine one, Engine other) {
    const auto is_mysql = [](Engine engine) {
        return engine == Engine::mysql || engine == Engine::mariadb;
    };
    return one == other || (is_mysql(one) && is_mysql(other));
}

}  // namespace homeward::replay

#include <homeward/replay/helper.hpp>

int main() {
    homeward::replay::HelperOptions options;
    options.database = homeward::replay::RegionalUrl{"host=leader", false, {}};
    options.keys = {{"k1", std::string(32, 'k')}};
    const homeward::replay::Helper helper(options);
    homeward::replay::HandlerResult result;
    helper.remember({7, 1, 42}, result);
    return result.seen_token.starts_with("v2.k1.postgresql.") ? 0 : 1;
}

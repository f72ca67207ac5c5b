#include "publisher/forward/connection_options.hpp"

#include <string>
#include <utility>

#include "publisher/api/checked_options.hpp"
#include "publisher/platform/standard_descriptors.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::forward {

PublisherOptions checked_connection(PublisherOptions options) {
    for (const auto& [name, value] :
         {std::pair("region", &options.region), {"app", &options.app}}) {
        if (is_valid_name(*value)) continue;
        throw SetupError("forwarded calls: " + std::string(name) + " is \"" + *value +
                         "\"; expected [a-z0-9][a-z0-9_-]{0,31}");
    }
    if (options.nats_urls.empty()) throw SetupError("forwarded calls: nats_urls is empty");
    if (!is_inbox_prefix(options.inbox_prefix)) {
        throw SetupError("forwarded calls: inbox_prefix is \"" + options.inbox_prefix +
                         "\"; expected " + kInboxPrefixRule);
    }
    make_paths_absolute(options);
    if (!options.on_log) options.on_log = &warn_on_stderr;
    options.on_log = [on_log = std::move(options.on_log)](std::string_view line) noexcept {
        try {
            on_log(line);
        } catch (...) {
            // There is nobody else to tell.
        }
    };
    return options;
}

}  // namespace homeward::forward

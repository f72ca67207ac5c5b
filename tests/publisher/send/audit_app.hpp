#pragma once

#include <string>

#include <homeward/publisher.hpp>

namespace homeward::testing {

/// Of an app whose one server this is.
inline PublisherOptions audit_app_options(const std::string& url) {
    PublisherOptions options;
    options.nats_urls = {url};
    options.region = "ams";
    options.app = "shop";
    return options;
}

/// Emits an audit event; whether it is accepted.
inline bool emits(Publisher& publisher) {
    return publisher.emit_json(
               "audit", EventClass::audit,
               R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})") ==
           EmitResult::accepted;
}

}  // namespace homeward::testing

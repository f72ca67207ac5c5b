#pragma once

// What the handles of homeward.h are.

#include <homeward.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <homeward/publisher.hpp>

/// A type that was described at run time. Never moves: threads remember its descriptor's address.
struct homeward_type {
    std::string name;
    std::vector<std::string> field_names;
    std::vector<homeward_kind> kinds;
    std::vector<bool> is_required;
    std::vector<std::string_view> required;  // names
    std::vector<homeward::FieldDescriptor> fields;
    homeward::TypeDescriptor descriptor;
    const homeward_type* before = nullptr;  // defined before this one
};

struct homeward_publisher {
    explicit homeward_publisher(homeward::PublisherOptions options)
        : publisher(std::move(options)) {}

    /// What emits of JSON ask for; no lock.
    std::span<const std::string_view> required_of(std::string_view type_name) const {
        const homeward_type* type = newest.load(std::memory_order_acquire);
        while (type != nullptr && type->name != type_name) type = type->before;
        return type == nullptr ? std::span<const std::string_view>{} : type->required;
    }

    std::mutex mutex;  // guards types
    std::vector<std::unique_ptr<homeward_type>> types;
    std::atomic<const homeward_type*> newest{nullptr};
    homeward::Publisher publisher;  // ends first: it refers to the types
};

namespace homeward {

/// One sentence, cut to `why_bytes` and ended by a zero.
void explain_to(const char* what, char* why, std::size_t why_bytes);

/// What the caller knows of the struct, the rest zero.
template <typename Struct>
Struct as_known(const Struct& given) {
    Struct known{};
    std::memcpy(&known, &given, std::min(given.size, sizeof known));
    return known;
}

/// What the caller knows of its options, the rest default.
PublisherOptions options_from(const homeward_options& given);

/// Whether options that another struct refers to can be read.
inline bool has_connection(const homeward_options* given) {
    return given != nullptr && given->size >= offsetof(homeward_options, nats_urls);
}

inline homeward_result code_of(EmitResult result) {
    return static_cast<homeward_result>(result);
}

}  // namespace homeward

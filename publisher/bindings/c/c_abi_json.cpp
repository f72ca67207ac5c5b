// homeward.h: objects and arrays that are built up value by value.

#include <homeward.h>

#include <new>
#include <string_view>
#include <variant>

#include <homeward/json.hpp>

struct homeward_builder {
    std::variant<homeward::JsonObject, homeward::JsonArray> built;
};

namespace {

template <typename Builder>
homeward_builder* make() {
    return new (std::nothrow) homeward_builder{Builder()};
}

/// A value of any kind, handed to `add` as what JSON has of it.
template <typename Add>
void with_value(const homeward_value& value, Add&& add) {
    const std::string_view text(value.as.text.bytes == nullptr ? "" : value.as.text.bytes,
                                value.as.text.bytes == nullptr ? 0 : value.as.text.size);
    switch (value.kind) {
        case HOMEWARD_ABSENT:
            return add(nullptr);
        case HOMEWARD_INTEGER:
        case HOMEWARD_TIMESTAMP:
            return add(value.as.integer);
        case HOMEWARD_REAL:
            return add(value.as.real);
        case HOMEWARD_BOOLEAN:
            return add(value.as.integer != 0);
        case HOMEWARD_TEXT:
            return add(text);
        case HOMEWARD_JSON:
            return add(homeward::JsonText{text});
    }
}

bool can_add(const homeward_value& value) {
    if (value.kind < HOMEWARD_ABSENT || value.kind > HOMEWARD_JSON) return false;
    const bool has_text = value.kind == HOMEWARD_TEXT || value.kind == HOMEWARD_JSON;
    if (has_text && value.as.text.size > 0 && value.as.text.bytes == nullptr) return false;
    return value.kind != HOMEWARD_JSON || value.as.text.size > 0;
}

}  // namespace

homeward_builder* homeward_object() {
    return make<homeward::JsonObject>();
}

homeward_builder* homeward_array() {
    return make<homeward::JsonArray>();
}

int homeward_add(homeward_builder* builder, const char* key, homeward_value value) {
    if (builder == nullptr || !can_add(value)) return 0;
    auto* object = std::get_if<homeward::JsonObject>(&builder->built);
    if ((object != nullptr) != (key != nullptr)) return 0;
    try {
        with_value(value, [&](const auto& one) {
            if (object != nullptr) {
                object->add(key, one);
            } else {
                std::get<homeward::JsonArray>(builder->built).add(one);
            }
        });
        return 1;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

homeward_value homeward_built(const homeward_builder* builder) {
    if (builder == nullptr) return homeward_absent();
    const std::string_view text =
        std::visit([](const auto& built) { return built.text(); }, builder->built);
    return homeward_json(text.data(), text.size());
}

void homeward_clear(homeward_builder* builder) {
    if (builder != nullptr) std::visit([](auto& built) { built.clear(); }, builder->built);
}

void homeward_builder_free(homeward_builder* builder) {
    delete builder;
}

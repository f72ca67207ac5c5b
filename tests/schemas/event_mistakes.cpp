// Compiled once for each mistake, all of which must fail, and once without any.

#include <optional>
#include <string>
#include <vector>

#include <order.event.hpp>

std::string made();
std::optional<std::string> perhaps();
std::vector<std::string> several();
homeward::JsonObject built();

homeward::events::Order event_of(const std::string& named, const std::optional<std::string>& some,
                                 std::string_view view) {
    homeward::events::Order event;
    event.code = named;
    event.note = some;
    event.note = view;
    event.code = "literal";
    event.total = homeward::Decimal::scaled(1230, 2);
    event.discount = 0.5;
    event.detail = homeward::JsonText{named};
    const std::vector<std::string> tags{named};
    event.tags = tags;
    homeward::JsonObject detail;
    event.detail = detail.add("key", named);
#ifdef HOMEWARD_MISTAKE_TEMPORARY_TEXT
    event.code = made();
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_OPTIONAL
    event.note = made();
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_OPTIONAL_STRING
    event.note = perhaps();
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_JSON
    event.detail = homeward::JsonText{made()};
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_DECIMAL
    event.discount = made();
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_ARRAY
    event.tags = several();
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_OBJECT
    event.detail = built();
#endif
#ifdef HOMEWARD_MISTAKE_TEMPORARY_CHAIN
    event.detail = homeward::JsonObject().add("key", 1);
#endif
#ifdef HOMEWARD_MISTAKE_WRONG_ELEMENTS
    event.counts = tags;
#endif
#ifdef HOMEWARD_MISTAKE_WRONG_KIND
    event.items = "three";
#endif
    return event;
}

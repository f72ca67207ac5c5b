// Compiled once for each mistake, all of which must fail, and once without any.

#include <optional>
#include <string>

#include <order.event.hpp>

std::string made();
std::optional<std::string> perhaps();

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
#ifdef HOMEWARD_MISTAKE_WRONG_KIND
    event.items = "three";
#endif
    return event;
}

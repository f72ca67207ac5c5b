#include <homeward/publisher.hpp>

#include <parcel.event.hpp>

int main() {
    const homeward::events::Parcel parcel{.cod = "p1"};
    return parcel.code.empty() ? 0 : 1;
}

/* Forwarded calls by the C ABI. */

#include <homeward_forward_server.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    char why[256] = "";
    homeward_options connection = {.size = sizeof connection,
                                   .region = "ams",
                                   .app = "shop",
                                   .nats_urls = "nats://127.0.0.1:1"};
    homeward_client_options options = {.size = sizeof options, .connection = &connection};
    homeward_client* client = homeward_client_open(&options, why, sizeof why);
    homeward_call_options call = {.size = sizeof call, .key = "k1", .deadline_ms = 50};
    homeward_reply* reply = homeward_client_call(client, "order.place", "tea", 3, &call);
    if (reply == NULL || reply->outcome != HOMEWARD_OUTCOME_UNAVAILABLE) return 1;
    homeward_reply_free(reply);
    homeward_client_free(client);

    homeward_forward_server_options server = {.size = sizeof server, .connection = &connection};
    if (homeward_forward_server_new(&server, why, sizeof why) != NULL) return 1;
    puts(why);
    return strcmp(why, "forwarded calls: no database_url") == 0 ? 0 : 1;
}

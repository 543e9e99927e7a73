#include "daemon/api/metrics_text.h"

#include <doctest/doctest.h>

#include <charconv>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

using namespace jamsock;

namespace {

struct Sample {
    std::string name;
    std::string label;  // "le=\"0.5\""; empty: none
    double value = 0;
};

struct Family {
    std::string type;
    std::vector<Sample> samples;

    const Sample* find(const std::string& name, const std::string& label = "") const {
        for (const Sample& sample : samples) {
            if (sample.name == name && sample.label == label) return &sample;
        }
        return nullptr;
    }
};

bool belongs(const std::string& sample, const std::string& family, const std::string& type) {
    if (type != "histogram") return sample == family;
    return sample == family + "_bucket" || sample == family + "_sum" || sample == family + "_count";
}

// Takes the text format 0.0.4 and nothing else: for each family a HELP and a TYPE line, then its
// samples together, each label set once.
std::map<std::string, Family> parsed(const std::string& text) {
    static const std::regex help("# HELP ([a-z_]+) ([^\\\\\n]+)");
    static const std::regex type("# TYPE ([a-z_]+) (counter|gauge|histogram)");
    static const std::regex sample(
        "([a-z_]+)(?:\\{([a-z_]+=\"[^\"\\\\]*\")\\})? ([0-9.e+-]+|\\+Inf|NaN)");
    std::map<std::string, Family> families;
    std::set<std::string> seen;
    std::string name;
    bool has_type = true;
    REQUIRE(text.ends_with('\n'));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        std::smatch match;
        if (std::regex_match(line, match, help)) {
            name = match[1];
            REQUIRE(has_type);
            REQUIRE_FALSE(families.contains(name));
            has_type = false;
        } else if (std::regex_match(line, match, type)) {
            REQUIRE(match[1] == name);
            families[name].type = match[2];
            has_type = true;
        } else {
            REQUIRE(std::regex_match(line, match, sample));
            REQUIRE(has_type);
            REQUIRE(belongs(match[1], name, families[name].type));
            REQUIRE(seen.insert(match[1].str() + match[2].str()).second);
            double value = 0;
            const std::string number = match[3];
            const auto end = number.data() + number.size();
            REQUIRE(std::from_chars(number.data(), end, value).ptr == end);
            families[name].samples.push_back({match[1], match[2], value});
        }
    }
    return families;
}

void check_histogram(const std::string& name, const Family& family) {
    double last = 0;
    for (std::size_t i = 0; i <= Histogram::bounds.size(); ++i) {
        const Sample& bucket = family.samples[i];
        CHECK(bucket.name == name + "_bucket");
        CHECK(bucket.label.starts_with("le=\""));
        CHECK(bucket.value >= last);
        last = bucket.value;
    }
    const Sample* const all = family.find(name + "_bucket", "le=\"+Inf\"");
    REQUIRE(all);
    CHECK(family.find(name + "_count")->value == all->value);
    CHECK(family.find(name + "_sum"));
    CHECK(family.samples.size() == Histogram::bounds.size() + 3);
}

}  // namespace

TEST_CASE("the text for Prometheus keeps to its format, with and without figures") {
    DaemonMetrics metrics{.version = "1.2.3-dev"};
    for (int i = 0; i < 2; ++i) {
        for (const auto& [name, family] : parsed(metrics_text(metrics))) {
            CAPTURE(name);
            CHECK((name.starts_with("jamsock_") || name.starts_with("process_")));
            CHECK(name.ends_with("_total") == (family.type == "counter"));
            if (family.type == "histogram") check_histogram(name, family);
        }
        metrics.backends = {{Status::ready, 3}, {Status::hard_terminating, 1}};
        metrics.connects = {{"held", 5}, {"KeyHeld", 1}};
        metrics.spawn_to_ready.add(std::chrono::milliseconds(20));
        metrics.spawn_to_ready.add(std::chrono::seconds(50));
        metrics.cpu_seconds = 1e-7;
        metrics.started_at = 1763978400.25;
        metrics.proxy_bytes = 18'446'744'073'709'551'615u;
    }
}

TEST_CASE("figures stand under their names and labels") {
    DaemonMetrics metrics{.version = "1.2.3", .keys_held = 7, .open_descriptors = 30};
    metrics.backends = {{Status::ready, 3}};
    metrics.connects = {{"held", 5}};
    metrics.spawn_to_ready.add(std::chrono::milliseconds(20));
    metrics.spawn_to_ready.add(std::chrono::milliseconds(25));
    metrics.spawn_to_ready.add(std::chrono::seconds(50));
    metrics.started_at = 1763978400.25;
    metrics.longest_pause = 2.5;
    metrics.longest_recent_pause = 0.25;
    metrics.lost_log_lines = 4;
    const auto families = parsed(metrics_text(metrics));
    const auto value = [&](const std::string& family, const std::string& label = "") {
        const Sample* const sample = families.at(family).find(family, label);
        REQUIRE(sample);
        return sample->value;
    };
    CHECK(value("jamsock_backends", "status=\"ready\"") == 3);
    CHECK(value("jamsock_backends", "status=\"hard-terminating\"") == 0);
    CHECK(families.at("jamsock_backends").samples.size() == 7);
    CHECK(value("jamsock_connects_total", "outcome=\"held\"") == 5);
    CHECK(value("jamsock_keys_held") == 7);
    CHECK(value("jamsock_build_info", "version=\"1.2.3\"") == 1);
    CHECK(value("jamsock_control_longest_pause_seconds", "since=\"start\"") == 2.5);
    CHECK(value("jamsock_control_longest_pause_seconds", "since=\"minute\"") == 0.25);
    CHECK(value("jamsock_log_lines_lost_total") == 4);
    CHECK(value("process_open_fds") == 30);
    CHECK(value("process_start_time_seconds") == 1763978400.25);
    const Family& starts = families.at("jamsock_spawn_to_ready_seconds");
    const auto bucket = [&](const char* bound) {
        return starts
            .find("jamsock_spawn_to_ready_seconds_bucket", std::string("le=\"") + bound + '"')
            ->value;
    };
    CHECK(bucket("0.01") == 0);
    CHECK(bucket("0.025") == 2);
    CHECK(bucket("30") == 2);
    CHECK(bucket("+Inf") == 3);
    CHECK(starts.find("jamsock_spawn_to_ready_seconds_sum")->value == doctest::Approx(50.045));
}

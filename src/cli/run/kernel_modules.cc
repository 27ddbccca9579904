#include "cli/run/kernel_modules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "cli/start/files.h"
#include "machine/boot/kernel_payload.h"

namespace ringside::cli {
namespace {

// Larger than any module is with its debug information.
constexpr std::size_t kLargest = 256u << 20;

std::string plain_name(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// Where each module is, without what comes behind its name, by its name. A line of modules.order
// is kernel/drivers/virtio/virtio.ko where modules were installed, drivers/virtio/virtio.ko, or .o
// from Linux 6.3 on, where they were built.
std::map<std::string, std::string> read_order(const std::string& directory) {
  std::map<std::string, std::string> places;
  std::ifstream file(directory + "/modules.order");
  std::array<char, 4096> room{};
  while (file.getline(room.data(), room.size())) {  // not beyond a line that is no path
    const std::string line = room.data();
    const std::size_t dot = line.rfind('.');
    if (dot == std::string::npos) continue;
    const std::string place = line.substr(0, dot);
    places.emplace(plain_name(place.substr(place.rfind('/') + 1)), place);
  }
  return places;
}

Result<std::vector<std::byte>> read_module(const std::string& stem) {
  std::error_code ignored;
  std::string path = stem + ".ko";
  for (const char* packed : {".xz", ".zst", ".gz"})
    if (!std::filesystem::exists(path, ignored) && std::filesystem::exists(path + packed, ignored))
      path += packed;
  Reading reading;
  reading.most = kLargest;
  reading.beyond = "no module is so large";
  const FileContent content = TRY(read_file(path, "kernel module", reading));
  const auto compression = machine::detect_compression(content.bytes());
  if (!compression || *compression == machine::Compression::None)
    return std::vector<std::byte>(content.bytes().begin(), content.bytes().end());
  auto unpacked = machine::unpack(content.bytes(), *compression, kLargest);
  if (unpacked) return unpacked;
  return fail(ErrorCode::BadRequest,
              fmt::format("kernel module '{}': its {}", path, unpacked.error().text()));
}

class Collection {
 public:
  explicit Collection(std::string directory)
      : directory_(std::move(directory)), places_(read_order(directory_)) {}

  // Those that it needs come first. One is looked at once, whatever the files say.
  Result<void> add(const std::string& name) {
    const auto place = places_.find(name);
    if (place == places_.end()) return {};
    const std::string stem = directory_ + "/" + place->second;
    places_.erase(place);
    KernelModule module{name, TRY(read_module(stem))};
    for (const std::string& needed : needed_by(module.content))
      TRY(add(needed));
    modules_.push_back(std::move(module));
    return {};
  }
  std::vector<KernelModule> take() && { return std::move(modules_); }

 private:
  const std::string directory_;
  std::map<std::string, std::string> places_;
  std::vector<KernelModule> modules_;
};

}  // namespace

// A module says of itself what modinfo(8) shows, as texts "KEY=VALUE" with a zero behind each; the
// names in this one have commas between them.
std::vector<std::string> needed_by(const std::vector<std::byte>& module) {
  constexpr std::string_view kKey("\0depends=", 9);
  const std::string_view text(reinterpret_cast<const char*>(module.data()), module.size());
  std::vector<std::string> names;
  const std::size_t key = text.find(kKey);
  if (key == std::string_view::npos) return names;
  const std::string_view list = text.substr(key + kKey.size());
  std::istringstream words(std::string(list.substr(0, list.find('\0'))));
  for (std::string name; std::getline(words, name, ',');)
    if (!name.empty()) names.push_back(plain_name(name));
  return names;
}

Result<std::vector<KernelModule>> collect_modules(const std::string& directory,
                                                  const std::vector<std::string>& wanted) {
  Collection modules(directory);
  for (const std::string& name : wanted)
    TRY(modules.add(name));
  return std::move(modules).take();
}

}  // namespace ringside::cli

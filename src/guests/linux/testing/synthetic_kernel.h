// A Linux kernel for tests that is nothing but its tables: symbols, type information, lists of
// tasks and modules, in a fake machine's memory. A test puts lies into it.
//
//   0x200000  the image, 4 MiB, at 0xffffffff81000000 and up: text, symbols, types, data
//   0         all of memory, 8 MiB, at kDirect; behind it, where memory ends, a device
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "guests/linux/kernel_image.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::guests::testing {

// Appends the parts of a table.
class TableWriter {
 public:
  template <typename T>
  TableWriter& put(T value) {
    const auto* bytes = reinterpret_cast<const char*>(&value);
    bytes_.append(bytes, sizeof value);
    return *this;
  }
  TableWriter& text(std::string_view text) {
    bytes_ += text;
    bytes_ += '\0';
    return *this;
  }
  TableWriter& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  TableWriter& align() {
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// BTF as pahole writes it.
class BtfWriter {
 public:
  struct Member {
    std::string name;
    std::uint32_t type, offset;  // in bytes
  };
  std::uint32_t integer(std::uint32_t size) {
    return add("int", 1u << 24, size, TableWriter().put(size * 8));
  }
  std::uint32_t pointer() { return add("", 2u << 24, 0, {}); }
  std::uint32_t array(std::uint32_t element, std::uint32_t count) {
    return add("", 3u << 24, 0, TableWriter().put(element).put(element).put(count));
  }
  std::uint32_t other_name(std::uint32_t type) { return add("other", 8u << 24, type, {}); }
  std::uint32_t structure(std::string_view name, std::uint32_t size,
                          const std::vector<Member>& members) {
    TableWriter body;
    for (const Member& member : members)
      body.put(string(member.name)).put(member.type).put(member.offset * 8);
    return add(name, 4u << 24 | static_cast<std::uint32_t>(members.size()), size, body);
  }
  std::uint32_t next() const { return count_ + 1; }
  std::string bytes() const {
    TableWriter all;
    all.put<std::uint16_t>(0xeb9f).put<std::uint16_t>(1).put<std::uint32_t>(24);
    all.put<std::uint32_t>(0).put(static_cast<std::uint32_t>(types_.bytes().size()));
    all.put(static_cast<std::uint32_t>(types_.bytes().size()));
    all.put(static_cast<std::uint32_t>(strings_.size()));
    return all.raw(types_.bytes()).raw(strings_).bytes();
  }

 private:
  std::uint32_t string(std::string_view text) {
    if (text.empty()) return 0;
    const auto at = static_cast<std::uint32_t>(strings_.size());
    strings_ += text;
    strings_ += '\0';
    return at;
  }
  std::uint32_t add(std::string_view name, std::uint32_t info, std::uint32_t size,
                    const TableWriter& body) {
    types_.put(string(name)).put(info).put(size).raw(body.bytes());
    return ++count_;
  }
  TableWriter types_;
  std::string strings_ = std::string(1, '\0');
  std::uint32_t count_ = 0;
};

struct SymbolOptions {
  bool offsets_first = false;  // as before 6.4
  bool sequence = false;       // with a table between markers and tokens
};

// The tables of symbols, as scripts/kallsyms.c makes them but for the compression.
inline std::string symbol_tables(const std::map<std::uint64_t, std::string>& symbols,
                                 std::uint64_t base, const SymbolOptions& options = {}) {
  TableWriter names, markers, offsets, tokens, index;
  std::size_t count = 0;
  for (const auto& [address, name] : symbols) {
    if (count++ % 256 == 0) markers.put(static_cast<std::uint32_t>(names.bytes().size()));
    names.put(static_cast<std::uint8_t>(name.size() + 1)).raw("T").raw(name);
    const auto offset = address < base ? address : base - 1 - address;
    offsets.put(static_cast<std::int32_t>(offset));
  }
  for (unsigned token = 0; token < 256; ++token) {
    index.put(static_cast<std::uint16_t>(tokens.bytes().size()));
    const bool shown = token > ' ' && token < 127;
    tokens.text(shown ? std::string(1, static_cast<char>(token)) : std::string("##"));
  }
  TableWriter all;
  const auto put_offsets = [&] { all.raw(offsets.bytes()).align().put(base); };
  if (options.offsets_first) put_offsets();
  all.put<std::uint64_t>(symbols.size()).raw(names.bytes()).align().raw(markers.bytes()).align();
  if (options.sequence) all.raw(std::string(3 * symbols.size(), '\x11')).align();
  all.raw(tokens.bytes()).align().raw(index.bytes()).align();
  if (!options.offsets_first) put_offsets();
  return all.bytes();
}

class SyntheticKernel {
 public:
  static constexpr std::uint64_t kImage = 0x200000, kImageSize = 0x400000;
  static constexpr std::uint64_t kText = kImageMap.value + kLinkedAt;
  static constexpr std::uint64_t kSymbols = 0x100000, kTypes = 0x200000, kData = 0x300000;
  static constexpr std::uint64_t kDirect = 0xffff888000000000, kDevice = kDirect + 0x800000;
  static constexpr std::uint64_t kTask = 256;  // sizes
  static constexpr std::uint64_t kModule = 256;

  explicit SyntheticKernel(unsigned vcpus = 2) : vm(vcpus) {
    vm.memory().add_ram({0}, 0x800000);
    vm.memory().add_device({0x10000000}, 0x200000);
    entry(0x1000 + 511 * 8, 0x2003);
    entry(0x2000 + 510 * 8, 0x3003);
    entry(0x3000 + 8 * 8, 0x200083);
    entry(0x3000 + 9 * 8, 0x400083);
    entry(0x1000 + 273 * 8, 0x4003);
    entry(0x4000, 0x5003);
    for (std::uint64_t i = 0; i < 4; ++i)
      entry(0x5000 + i * 8, i << 21 | 0x83);
    entry(0x5000 + 4 * 8, 0x10000083);
    for (unsigned i = 0; i < vcpus; ++i) {
      vm.make_active({i});
      x86::CpuState& cpu = vm.vcpu({i}).cpu;
      cpu.cr0 = x86::cr0::PE | x86::cr0::PG;
      cpu.cr4 = x86::cr4::PAE;
      cpu.efer = x86::efer::LME | x86::efer::LMA;
      cpu.seg(x86::SegmentName::Cs).attributes = 0xa09b;
      cpu.cr3 = 0x1000;
      cpu.rip = kText + 0x123;
    }
    symbols[kText] = "_text";
    symbols[kText + 0x80000] = "_etext";
    symbols[0x100] = "current_task";
    symbols[kText + kTypes] = "__start_BTF";
    symbols[data(0x1000)] = "init_task";
    symbols[data(0x2000)] = "modules";
    symbols[data(0x3000)] = "__per_cpu_offset";
    symbols[data(0x3800)] = "nr_cpu_ids";
    symbols[data(0x4000)] = "linux_banner";
    symbols[kText + 0x1000] = "do_init_module";
    symbols[kText + 0x2000] = "free_module";
    for (std::uint64_t i = 0; i < 600; ++i)
      symbols[kText + 0x10000 + i * 16] = "filler_" + std::to_string(i);
    // Each CPU's own memory, and what it runs.
    poke(data(0x3800), std::uint32_t{vcpus});
    for (std::uint64_t i = 0; i < vcpus; ++i) {
      poke(data(0x3000 + 8 * i), kDirect + 0x600000 + i * 0x1000);
      vm.vcpu({static_cast<std::uint32_t>(i)}).cpu.seg(x86::SegmentName::Gs).base =
          kDirect + 0x600000 + i * 0x1000;
      run(static_cast<std::uint32_t>(i), data(0x1000));
    }
    put(data(0x4000), "Linux version 6.1.0-synthetic (nobody)\n");
    list_at(data(0x1000) + 32);
    list_at(data(0x2000));
    task(data(0x1000), 0, 0, "swapper/0");
  }

  static std::uint64_t data(std::uint64_t offset) { return kText + kData + offset; }

  // Writes symbols and types. After the symbols are as they shall be.
  void build(const SymbolOptions& options = {}, const std::string& types = usual_types()) {
    symbols[kText + kTypes + types.size()] = "__stop_BTF";
    put(kText + kTypes, types);
    put(kText + kSymbols, symbol_tables(symbols, kText, options));
  }

  static std::string usual_types() {
    BtfWriter w;
    const auto u32 = w.integer(4), u8 = w.integer(1), pointer = w.pointer();
    const auto list = w.structure("list_head", 16, {{"next", pointer, 0}, {"prev", pointer, 8}});
    const auto comm = w.array(u8, 16), name = w.array(u8, 56);
    const auto thread = w.structure("thread_struct", 24, {{"sp", w.other_name(pointer), 8}});
    w.structure("task_struct", kTask,
                {{"__state", u32, 0},
                 {"exit_state", u32, 4},
                 {"pid", u32, 8},
                 {"tgid", u32, 12},
                 {"comm", comm, 16},
                 {"tasks", list, 32},
                 {"thread_node", list, 48},
                 {"signal", pointer, 64},
                 {"stack", pointer, 72},
                 {"thread", thread, 80},
                 {"mm", pointer, 104}});
    w.structure("signal_struct", 64, {{"thread_head", list, 16}});
    const auto memory = w.structure("module_memory", 16, {{"base", pointer, 0}, {"size", u32, 8}});
    const auto memories = w.array(memory, 7);
    w.structure("module", kModule,
                {{"state", u32, 0},
                 {"list", list, 8},
                 {"name", name, 24},
                 {"mem", memories, 80},
                 {"sect_attrs", pointer, 192}});
    const auto attribute = w.structure("attribute", 8, {{"name", pointer, 0}});
    const auto binary = w.structure("bin_attribute", 16, {{"attr", attribute, 0}});
    const auto section =
        w.structure("module_sect_attr", 24, {{"battr", binary, 0}, {"address", pointer, 16}});
    const auto sections = w.array(section, 0);
    w.structure("module_sect_attrs", 24, {{"nsections", u32, 16}, {"attrs", sections, 24}});
    return w.bytes();
  }

  // A task at this address, not in any list.
  void task(std::uint64_t at, std::uint32_t pid, std::uint32_t tgid, std::string_view comm,
            std::uint32_t state = 0) {
    poke(at, state);
    poke(at + 8, pid);
    poke(at + 12, tgid);
    put(at + 16, comm);
    poke(at + 16 + std::min<std::size_t>(comm.size(), 15), '\0');
  }
  // A process of one thread in the list of tasks, with a signal structure behind its task.
  void process(std::uint64_t at, std::uint32_t pid, std::string_view comm,
               std::uint32_t state = 1) {
    task(at, pid, pid, comm, state);
    poke(at + 64, at + kTask);
    list_at(at + kTask + 16);
    link(at + kTask + 16, at + 48);
    link(data(0x1000) + 32, at + 32);
  }
  void thread(std::uint64_t leader, std::uint64_t at, std::uint32_t pid, std::string_view comm) {
    task(at, pid, get(leader + 12), comm, 1);
    poke(at + 64, leader + kTask);
    link(leader + kTask + 16, at + 48);
  }
  void run(std::uint32_t cpu, std::uint64_t task_at) {
    poke(kDirect + 0x600000 + cpu * 0x1000 + 0x100, task_at);
  }
  // A module with these sections.
  void module(std::uint64_t at, std::string_view name, std::uint32_t state,
              const std::vector<std::pair<std::string, std::uint64_t>>& sections) {
    poke(at, state);
    put(at + 24, name);
    poke(at + 80, sections.empty() ? std::uint64_t{0} : sections.front().second);
    poke(at + 88, std::uint32_t{0x1000});
    const std::uint64_t attributes = at + kModule;
    poke(at + 192, attributes);
    poke(attributes + 16, static_cast<std::uint32_t>(sections.size()));
    for (std::size_t i = 0; i < sections.size(); ++i) {
      const std::uint64_t text = attributes + 0x400 + i * 32;
      put(text, sections[i].first);
      poke(attributes + 24 + i * 24, text);
      poke(attributes + 24 + i * 24 + 16, sections[i].second);
    }
    link(data(0x2000), at + 8);
  }

  // ---- by the kernel's addresses
  static Gpa where(std::uint64_t address) {
    return {address >= kText ? address - kText + kImage : address - kDirect};
  }
  template <typename T>
  void poke(std::uint64_t address, T value) {
    put(address, {reinterpret_cast<const char*>(&value), sizeof value});
  }
  void put(std::uint64_t address, std::string_view bytes) {
    for (const char c : bytes)
      vm.memory().poke(where(address++), c);
  }
  std::uint32_t get(std::uint64_t address) {
    return vm.memory().peek<std::uint32_t>(where(address));
  }
  void list_at(std::uint64_t head) {
    poke(head, head);
    poke(head + 8, head);
  }
  // At the end of a list.
  void link(std::uint64_t head, std::uint64_t node) {
    const auto last = vm.memory().peek<std::uint64_t>(where(head + 8));
    poke(last, node);
    poke(node, head);
    poke(node + 8, last);
    poke(head + 8, node);
  }

  hypervisor::testing::FakeVm vm;
  std::map<std::uint64_t, std::string> symbols;

 private:
  void entry(std::uint64_t where, std::uint64_t value) { vm.memory().poke(Gpa{where}, value); }
};

}  // namespace ringside::guests::testing

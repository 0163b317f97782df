package melgan.drums

import android.content.res.AssetManager
import java.nio.channels.FileChannel
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/** A sound model with classes: NAME.tflite and NAME.export_report.json among the assets. Not for several threads at once. */
class SoundModel(assets: AssetManager, name: String) {
    private val facts = JSONObject(assets.open("$name.export_report.json").bufferedReader().use { it.readText() })
        .getJSONObject("origin")
    private val interpreter = assets.openFd("$name.tflite").use { file ->
        val content = file.createInputStream().channel
            .map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        Interpreter(content, Interpreter.Options().setNumThreads(1))
    }
    private val random = java.util.Random()

    val classes: List<String> = facts.getJSONArray("classes").let { names -> List(names.length(), names::getString) }
    val sampleRate: Int = facts.getInt("sample_rate")

    /** A new sound of a class: samples from -1 to 1. */
    fun make(name: String): FloatArray {
        val noise = arrayOf(FloatArray(facts.getInt("noise_dim")) { random.nextGaussian().toFloat() })
        val label = arrayOf(FloatArray(classes.size).also { it[classes.indexOf(name)] = 1f })
        val audio = arrayOf(FloatArray(interpreter.getOutputTensorFromSignature("audio", "generate").shape()[1]))
        interpreter.runSignature(mapOf("noise" to noise, "label" to label), mapOf("audio" to audio), "generate")
        return audio[0]
    }
}

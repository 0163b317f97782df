package melgan.drums

import android.app.Activity
import android.media.AudioAttributes
import android.media.AudioFormat
import android.media.AudioTrack
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.ScrollView
import java.util.concurrent.Executors

/** A button for every class of the model; a tap makes a new sound of the class and plays it. */
class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor() // an Interpreter is for one thread at a time
    private val seed = System.currentTimeMillis() / 1000
    private var index = 0L
    private var playing: AudioTrack? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        val model = SoundModel(assets, "drums")
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        for (name in model.classes) {
            val button = Button(this).apply { text = name }
            button.setOnClickListener { worker.execute { play(model.make(name, seed, index++), model.sampleRate) } }
            column.addView(button)
        }
        setContentView(ScrollView(this).apply {
            fitsSystemWindows = true
            addView(column)
        })
    }

    override fun onDestroy() {
        worker.execute { playing?.release() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun play(audio: FloatArray, sampleRate: Int) {
        playing?.release()
        val track = AudioTrack.Builder()
            .setAudioAttributes(AudioAttributes.Builder().setUsage(AudioAttributes.USAGE_MEDIA)
                .setContentType(AudioAttributes.CONTENT_TYPE_MUSIC).build())
            .setAudioFormat(AudioFormat.Builder().setEncoding(AudioFormat.ENCODING_PCM_FLOAT)
                .setSampleRate(sampleRate).setChannelMask(AudioFormat.CHANNEL_OUT_MONO).build())
            .setTransferMode(AudioTrack.MODE_STATIC)
            .setBufferSizeInBytes(audio.size * Float.SIZE_BYTES)
            .build()
        track.write(audio, 0, audio.size, AudioTrack.WRITE_BLOCKING)
        track.play()
        playing = track
    }
}
